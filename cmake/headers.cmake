# ringside_headers(TARGET ROOT folder...): a library in which every header below ROOT/folder is
# compiled alone, twice in one source, and without precompiled headers: so it includes what it uses,
# and may be included twice. Nothing links it, and only who asks for the target builds it.
function(ringside_headers TARGET ROOT)
  set(sources)
  foreach(folder ${ARGN})
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${ROOT}/${folder} ${ROOT}/${folder}/*.h)
    foreach(header ${headers})
      set(source ${CMAKE_BINARY_DIR}/${TARGET}/${folder}/${header}.cc)
      file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n#include \"${header}\"\n")
      list(APPEND sources ${source})
    endforeach()
  endforeach()
  add_library(${TARGET} OBJECT EXCLUDE_FROM_ALL ${sources})
  list(TRANSFORM ARGN PREPEND ${ROOT}/ OUTPUT_VARIABLE folders)
  target_include_directories(${TARGET} PRIVATE ${folders})
  # Nobody runs it: the quickest way to a whole compilation.
  target_compile_options(${TARGET} PRIVATE -O0)
endfunction()
