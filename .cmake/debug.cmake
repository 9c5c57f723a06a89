# cmake -B build -G Ninja -C .cmake/debug.cmake
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
