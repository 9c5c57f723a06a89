"""The images' file systems as deploy/image makes them of a build, for the tests of them."""
import os
import shutil
import subprocess
import tempfile


class Roots:
    """In folders `service` and `node` of self.roots."""

    def __init__(self, source, build, cmake):
        self.source, self.top = source, tempfile.mkdtemp(prefix="test-image-")
        os.chmod(self.top, 0o755)  # the image's user is another
        self.installed, self.roots = (os.path.join(self.top, name) for name in ("installed", "roots"))
        subprocess.run([cmake, "--install", build, "--prefix", "/usr", "--strip"], check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, DESTDIR=self.installed))
        self.make("--roots", self.roots)

    def make(self, *words):
        """What deploy/image says."""
        return subprocess.run([os.path.join(self.source, "deploy/image"), "--installed", self.installed, *words], check=True,
                              stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, SOURCE_DATE_EPOCH="1700000000")).stdout

    def root(self, target):
        return os.path.join(self.roots, target)


    def files(self, target):
        root = self.root(target)
        return {"/" + os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names}

    def remove(self):
        shutil.rmtree(self.top)
