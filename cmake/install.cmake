# What `make install` and the Debian packages hold beside the library: the program, its manual pages, what
# completes its options in three shells, the documents and examples that README.md leads to, and the list of
# what is linked and compiled in.
include(GNUInstallDirs)

install(TARGETS ringside RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# As they lie in the tree, so that links from one to another lead somewhere.
install(FILES LICENSE README.md CHANGELOG.md BENCH.md CONTRIBUTING.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR} USE_SOURCE_PERMISSIONS)
install(FILES include/ringside/ringside.h DESTINATION ${CMAKE_INSTALL_DOCDIR}/include/ringside)

find_program(SCDOC scdoc)
if(SCDOC)
  set(pages)
  foreach(page ringside.1 ringside.3)
    string(REGEX REPLACE ".*\\." "" section ${page})
    set(made ${CMAKE_BINARY_DIR}/${page})
    add_custom_command(OUTPUT ${made}
      COMMAND sh -c "SOURCE_DATE_EPOCH=$(sh \"$1\") ${SCDOC} <\"$2\" >\"$3\"" scdoc
        ${CMAKE_SOURCE_DIR}/scripts/source-date ${CMAKE_SOURCE_DIR}/docs/${page}.scd ${made}
      DEPENDS ${CMAKE_SOURCE_DIR}/docs/${page}.scd COMMENT "Building the manual page ${page}" VERBATIM)
    list(APPEND pages ${made})
    install(FILES ${made} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endforeach()
  add_custom_target(man ALL DEPENDS ${pages})
else()
  message(STATUS "scdoc is not there: no manual pages")
endif()

# Of --help, by the program that is installed. One with sanitizers, or for another processor, is not asked.
if(NOT RINGSIDE_SANITIZE AND NOT CMAKE_CROSSCOMPILING)
  set(completions)
  foreach(shell bash zsh fish)
    set(made ${CMAKE_BINARY_DIR}/completions/${shell})
    add_custom_command(OUTPUT ${made}
      COMMAND sh -c "$1 --help | sh \"$2\" \"$3\" >\"$4\"" completions $<TARGET_FILE:ringside>
        ${CMAKE_SOURCE_DIR}/scripts/completions ${shell} ${made}
      DEPENDS ringside ${CMAKE_SOURCE_DIR}/scripts/completions
      COMMENT "Completing options in ${shell}" VERBATIM)
    list(APPEND completions ${made})
  endforeach()
  add_custom_target(completions ALL DEPENDS ${completions})
  set(share ${CMAKE_INSTALL_DATADIR})
  install(FILES ${CMAKE_BINARY_DIR}/completions/bash RENAME ringside
    DESTINATION ${share}/bash-completion/completions)
  install(FILES ${CMAKE_BINARY_DIR}/completions/zsh RENAME _ringside
    DESTINATION ${share}/zsh/vendor-completions)
  install(FILES ${CMAKE_BINARY_DIR}/completions/fish RENAME ringside.fish
    DESTINATION ${share}/fish/vendor_completions.d)
endif()

# Of Debian's package database, and of what ninja knows about each object.
find_program(DPKG_QUERY dpkg-query)
if(DPKG_QUERY AND CMAKE_GENERATOR STREQUAL "Ninja" AND NOT RINGSIDE_SANITIZE)
  set(lists)
  foreach(product ringside ringside_shared)
    string(REGEX REPLACE "(.*)_shared" "lib\\1" name ${product})
    set(made ${CMAKE_BINARY_DIR}/${name}.spdx.json)
    add_custom_command(OUTPUT ${made}
      COMMAND sh ${CMAKE_SOURCE_DIR}/scripts/bill-of-materials ${CMAKE_BINARY_DIR}
        $<TARGET_FILE:${product}> ${PROJECT_VERSION} ${made}
      DEPENDS ${product} ${CMAKE_SOURCE_DIR}/scripts/bill-of-materials
      COMMENT "Listing what ${product} is made of" VERBATIM)
    list(APPEND lists ${made})
    install(FILES ${made} DESTINATION ${CMAKE_INSTALL_DOCDIR})
  endforeach()
  add_custom_target(bill_of_materials ALL DEPENDS ${lists})
endif()
