# Man pages: X.SECTION.scd beside the program X, filled with the programs' own tables by ufmsync-manual (ufmsync/ctl/manual.c).
find_program(UFMSYNC_SCDOC scdoc)
if(NOT UFMSYNC_SCDOC)
	message(STATUS "scdoc is not installed: the man pages are not built (apt-get install scdoc)")
	return()
endif()

add_executable(ufmsync-manual ufmsync/ctl/manual.c)
target_link_libraries(ufmsync-manual PRIVATE ufmsync_ctl ufmsync_service)
set_target_properties(ufmsync-manual PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/manual)

set(UFMSYNC_MANUAL_PAGES)
foreach(source
		ufmsync/ufmsyncd.8
		ufmsync/ufmsyncd-settings.7
		ufmsync/ctl/ufmsyncctl.1
		ufmsync/setup/ufmsync-setup.8
		cni/plugin/ufmsync-cni.8
		cni/installer/ufmsync-cni-install.8)
	get_filename_component(name ${source} NAME)
	string(REGEX REPLACE ".*\\." "" section ${name})
	set(page ${CMAKE_BINARY_DIR}/manual/${name})
	add_custom_command(OUTPUT ${page}
		COMMAND sh -c [["$1" <"$2" >"$3.scd" && "$0" <"$3.scd" >"$3"]] ${UFMSYNC_SCDOC} $<TARGET_FILE:ufmsync-manual>
			${PROJECT_SOURCE_DIR}/${source}.scd ${page}
		DEPENDS ufmsync-manual ${PROJECT_SOURCE_DIR}/${source}.scd VERBATIM)
	set(component ufmsync)
	if(source MATCHES "^cni/")
		set(component ufmsync-cni)
	elseif(source MATCHES "^ufmsync/ctl/")
		set(component ufmsyncctl)
	endif()
	install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
	list(APPEND UFMSYNC_MANUAL_PAGES ${page})
endforeach()
add_custom_target(manual ALL DEPENDS ${UFMSYNC_MANUAL_PAGES})
# kubectl's users look for the tool under its other name.
file(WRITE ${CMAKE_BINARY_DIR}/manual/links/kubectl-ufmsync.1 ".so man1/ufmsyncctl.1\n")
install(FILES ${CMAKE_BINARY_DIR}/manual/links/kubectl-ufmsync.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1
	COMPONENT ufmsyncctl)
