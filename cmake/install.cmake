# What `cmake --install` and the Debian package hold: the program, its manual page, its licence.
include(GNUInstallDirs)

install(TARGETS ringside RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)

find_program(SCDOC scdoc)
if(SCDOC)
  set(man_page ${CMAKE_BINARY_DIR}/ringside.1)
  add_custom_command(OUTPUT ${man_page}
    COMMAND sh -c "${SCDOC} <\"$1\" >\"$2\"" scdoc ${CMAKE_SOURCE_DIR}/docs/ringside.1.scd ${man_page}
    DEPENDS ${CMAKE_SOURCE_DIR}/docs/ringside.1.scd COMMENT "Building the manual page" VERBATIM)
  add_custom_target(man ALL DEPENDS ${man_page})
  install(FILES ${man_page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
else()
  message(STATUS "scdoc is not there: no manual page")
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ringside)
set(CPACK_PACKAGE_CONTACT "The ringside maintainers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "userland hypervisor with a debug server for any guest")
set(CPACK_PACKAGE_DESCRIPTION
  "Boots a guest on virtual x86-64 processors and lets GDB or LLDB inspect and control it from
outside, with no help from the guest.")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS gdb)
include(CPack)
