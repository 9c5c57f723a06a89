# cmake -B build -G Ninja -C .cmake/sanitize.cmake
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(UFMSYNC_SANITIZE ON CACHE BOOL "")
set(UFMSYNC_WERROR ON CACHE BOOL "")
