// An option has words behind the name of a file, "FILE,ro", and the name may have commas as well.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

namespace ringside {

// The part of the path before its first comma, if that is the name of something and the path is
// not: then what follows was meant to be words of the option.
inline std::optional<std::string> name_before_comma(const std::string& path) {
  const std::size_t comma = path.find(',');
  std::error_code ignored;  // what cannot be looked at is as if it were not there
  if (comma == std::string::npos || std::filesystem::exists(path, ignored)) return std::nullopt;
  std::string part = path.substr(0, comma);
  if (!std::filesystem::exists(part, ignored)) return std::nullopt;
  return part;
}

}  // namespace ringside
