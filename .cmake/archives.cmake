# Foreign libraries that some programs of ours link as archives: one that runs on machines that are not ours (the CNI
# plugin, the node installer) can count on no library there.  ufmsync_jansson and ufmsync_openssl are what such a program's
# libraries link: the shared library of Debian, or the archives of the same package for a program declared with
#	ufmsync_static_program(NAME)
# Sanitizers cannot be linked statically: then all is shared.
if(UFMSYNC_SANITIZE OR UFMSYNC_FUZZ)
	set(UFMSYNC_ARCHIVES OFF)
else()
	set(UFMSYNC_ARCHIVES ON)
endif()

function(ufmsync_library_of_either_kind name shared package prefix)
	set(archives)
	foreach(archive ${ARGN})
		find_library(UFMSYNC_${archive} NAMES ${archive} HINTS ${${prefix}_LIBDIR})
		mark_as_advanced(UFMSYNC_${archive})
		if(UFMSYNC_ARCHIVES AND NOT UFMSYNC_${archive})
			message(FATAL_ERROR "${archive} is missing: Debian's ${package} has it, and ufmsync-cni is linked with it")
		endif()
		list(APPEND archives ${UFMSYNC_${archive}})
	endforeach()
	add_library(${name} INTERFACE)
	target_include_directories(${name} SYSTEM INTERFACE ${${prefix}_INCLUDE_DIRS})
	# TARGET_PROPERTY is that of the program which is linked in the end.
	target_link_libraries(${name} INTERFACE
		"$<IF:$<BOOL:$<TARGET_PROPERTY:UFMSYNC_STATIC>>,${archives},${shared}>")
endfunction()
ufmsync_library_of_either_kind(ufmsync_jansson PkgConfig::JANSSON libjansson-dev JANSSON libjansson.a)
ufmsync_library_of_either_kind(ufmsync_openssl PkgConfig::OPENSSL libssl-dev OPENSSL libssl.a libcrypto.a)

# At any address (-static-pie), as it reads what strangers wrote.  What the linker warns of (names of hosts and services
# need glibc's own shared libraries at run time) is in OpenSSL and never reached: these programs are given numbers.
include(CheckLinkerFlag)
check_linker_flag(C -Wl,--no-warnings UFMSYNC_LINKER_CAN_BE_QUIET)
function(ufmsync_static_program name)
	if(UFMSYNC_ARCHIVES)
		set_target_properties(${name} PROPERTIES UFMSYNC_STATIC ON)
		target_link_options(${name} PRIVATE -static-pie $<$<BOOL:${UFMSYNC_LINKER_CAN_BE_QUIET}>:-Wl,--no-warnings>)
	endif()
endfunction()
