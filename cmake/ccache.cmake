# Where ccache is installed, what was compiled once is taken from it.
find_program(CCACHE ccache)
if(CCACHE)
  # ccache refuses precompiled headers unless it may take a macro that the header does not use for
  # irrelevant. The base directory lets another clone find what this one compiled. The inode cache spares it
  # reading the 70 MB of a precompiled header for every source.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_INODECACHE=true
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
