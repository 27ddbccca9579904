# How the product is compiled so that a fault in it is hard to use, and so that two builds of one tree are the
# same bytes wherever they are made (docs/decisions/0053-packages.md). Tests are compiled without; sanitizers
# find more than this would.
option(RINGSIDE_HARDENING "Compile and link the product with what makes a fault hard to use" ON)

# Where two fit, the last counts: a build is mostly in a folder of the tree.
set(ringside_product_options -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)
set(ringside_product_link_options)
set(ringside_program_options)
set(ringside_library_options)
if(RINGSIDE_HARDENING AND NOT RINGSIDE_SANITIZE AND NOT RINGSIDE_FUZZ)
  # Distributions define _FORTIFY_SOURCE, too, and less of it. It needs the optimiser.
  list(APPEND ringside_product_options -fstack-protector-strong
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>)
  list(APPEND ringside_product_link_options -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
  set(ringside_program_options -fPIE)
  # Not the program: code that it makes for a guest leaves blocks without their RET, which a shadow stack
  # forbids, and has no ENDBR64. It must not be marked as one that has both.
  set(ringside_library_options -fcf-protection=full)
endif()
