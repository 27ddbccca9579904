// A file's name for people, and for whoever looks for it later from another directory.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

namespace ringside {

// Without parts such as ".." where it is given from the current directory; as it is given where
// that has none.
inline std::string absolute_path(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path absolute = std::filesystem::absolute(path, failed);
  return failed ? path : absolute.lexically_normal().string();
}

}  // namespace ringside
