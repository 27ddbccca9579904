// The symbols that a kernel exports to modules, by the table that it links them with: addresses of
// data, which a kernel without CONFIG_KALLSYMS_ALL has not among its symbols.
//
// Guests lie: the table is believed as far as its names are in their order. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "guests/linux/kernel_image.h"

namespace ringside::guests {

// `image`: a part of the kernel's image that has the table and its names, as it lies in memory from
// this address on. Empty where it has no such table with init_task in it.
std::map<std::string, Gva, std::less<>> exported_symbols(std::span<const std::byte> image, Gva base,
                                                         Word word);

}  // namespace ringside::guests
