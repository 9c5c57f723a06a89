# cmake -B build -G Ninja -C .cmake/release.cmake
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
