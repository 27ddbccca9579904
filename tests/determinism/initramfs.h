// A Linux initramfs, from files. A plain function.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ringside::testing {

// An archive in cpio's "newc" format: executable files by name, with their content.
std::string make_initramfs(const std::vector<std::pair<std::string, std::string>>& programs);

}  // namespace ringside::testing
