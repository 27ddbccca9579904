// A shared folder as it is written on the command line: DIR[,tag=NAME][,ro]. Plain values; no file
// is touched.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "share/server.h"

namespace ringside::companions {

struct SharedFolder {
  std::string path;
  std::string tag;  // the guest mounts it by this name
  share::Access access = share::Access::ReadWrite;

  friend bool operator==(const SharedFolder&, const SharedFolder&) = default;
};

inline constexpr std::size_t kLongestTag = 31;

// All that are given, in their order. One without a tag has "share" and its number. An error is one
// sentence, with the option's name.
Result<std::vector<SharedFolder>> parse_shares(const std::vector<std::string>& texts);

}  // namespace ringside::companions
