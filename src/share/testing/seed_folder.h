// What a shared folder has in it at the start of a test: files, and links of which some lead to
// what is beside it.
#pragma once

#include <filesystem>
#include <fstream>
#include <string_view>

namespace ringside::share::testing {

inline void put_text(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline void seed(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  fs::create_directories(folder / "folder/deep");
  put_text(folder / "file", "text");
  put_text(folder / "folder/inner", "inner text");
  fs::create_symlink("../outside", folder / "way-out");
  fs::create_symlink("../outside/secret", folder / "secret");
  fs::create_symlink("file", folder / "link");
  fs::create_symlink("nowhere", folder / "dangling");
}

}  // namespace ringside::share::testing
