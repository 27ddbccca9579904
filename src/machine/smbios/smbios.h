// What the machine is, in the words of SMBIOS 2.8 (DMTF DSP0134): the tables, and the entry point
// by which they are found. As yet without an address.
#pragma once

#include <cstdint>
#include <string>

#include "ringside/types.h"

namespace ringside::machine {

struct SmbiosOptions {
  unsigned vcpus = 1;
  std::uint64_t low_memory = 0, high_memory = 0;  // below 4 GiB, and from there on
};

struct Smbios {
  std::string entry;  // to be aligned to 16 bytes, between 0xf0000 and 1 MiB
  std::string tables;
};

Smbios make_smbios(const SmbiosOptions& options);
// The entry point tells that the tables are there.
void place(Smbios& smbios, Gpa tables);

}  // namespace ringside::machine
