# Debian packages: `cpack --config build/CPackConfig.cmake -B FOLDER` of a build of type RelWithDebInfo makes
#	ufmsync       ufmsyncd, ufmsync-setup, and a unit for subnet managers' hosts
#	ufmsyncctl    the operator's tool
#	ufmsync-cni   the CNI plugin and its installer
# What is in which is said at each install() by its component.  With SOURCE_DATE_EPOCH set, the same sources and libraries
# give the same bytes.
set(UFMSYNC_PACKAGE_MAINTAINER "ufmsync maintainers <ufmsync@packages.invalid>" CACHE STRING "Who is named in Debian packages")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ufmsync)
set(CPACK_PACKAGE_VENDOR ufmsync)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "${UFMSYNC_PACKAGE_MAINTAINER}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL ufmsync ufmsyncctl ufmsync-cni)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
	WORLD_EXECUTE)
# What only Debian wants is put in when all is installed.
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/.cmake/debian_tree.cmake)
set(CPACK_UFMSYNC_DEBIAN ${PROJECT_SOURCE_DIR}/deploy/debian)

# CPack's names are in capitals.
set(CPACK_DEBIAN_UFMSYNC_PACKAGE_NAME ufmsync)
set(CPACK_DEBIAN_UFMSYNC_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_UFMSYNC_PACKAGE_SUGGESTS "opensm, ufmsyncctl")
set(CPACK_DEBIAN_UFMSYNC_PACKAGE_CONTROL_EXTRA
	"${CPACK_UFMSYNC_DEBIAN}/conffiles;${CPACK_UFMSYNC_DEBIAN}/postinst;${CPACK_UFMSYNC_DEBIAN}/prerm;${CPACK_UFMSYNC_DEBIAN}/postrm")
set(CPACK_COMPONENT_UFMSYNC_DESCRIPTION "joins Kubernetes pods to InfiniBand partitions
A pod asks for an InfiniBand network, the network names a PKey, and the pod's
virtual function gets a GUID of its own.  ufmsyncd makes that GUID a member of
that PKey, through NVIDIA UFM's REST API or OpenSM's partition configuration,
before the pod uses it, and takes it out when the pod is gone.
.
In a cluster it runs as a Deployment; this package is for the host of a subnet
manager outside of Kubernetes, and for trying it out.  The service is neither
enabled nor started when it is installed.")

set(CPACK_DEBIAN_UFMSYNCCTL_PACKAGE_NAME ufmsyncctl)
set(CPACK_DEBIAN_UFMSYNCCTL_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_UFMSYNCCTL_PACKAGE_SUGGESTS kubernetes-client)
set(CPACK_COMPONENT_UFMSYNCCTL_DESCRIPTION "tells which Kubernetes pods are in which InfiniBand partition
The operator's tool of ufmsync, also as a command of kubectl: the members of a
PKey and whose they are, whose a GUID is, what a pod waits for, what no pod
owns, and whether everything at a site is in order.")

set(CPACK_DEBIAN_UFMSYNC-CNI_PACKAGE_NAME ufmsync-cni)
set(CPACK_COMPONENT_UFMSYNC-CNI_DESCRIPTION "CNI plugin that waits for an InfiniBand partition
The plugin lets a pod's InfiniBand interface start only when the fabric lets it
into its partition, as ufmsyncd tells; then it runs the plugin that attaches
the interface (ib-sriov).
.
In a cluster a DaemonSet puts it on nodes; this package is for nodes that are
set up by other means.  ufmsync-cni-install, which that DaemonSet runs, is
here too.")
include(CPack)
