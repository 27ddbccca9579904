#include "cli/run/gdb_line.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/absolute_path.h"

namespace ringside::cli {
namespace {

// What `target remote` takes. GDB takes a name with a colon for a host and a port.
std::optional<std::string> target_of(std::string_view where, const std::string& directory) {
  constexpr std::string_view kUnix = "unix:", kAnyAddress = "0.0.0.0:", kAnyV6 = "[::]:";
  if (where.starts_with(kUnix)) {
    const std::filesystem::path given(where.substr(kUnix.size()));
    std::string path = (std::filesystem::path(directory) / given).lexically_normal();
    if (path.find(':') != std::string::npos) return std::nullopt;
    return path;
  }
  // This host's own, of all that it listens at.
  if (where.starts_with(kAnyAddress))
    return fmt::format("127.0.0.1:{}", where.substr(kAnyAddress.size()));
  if (where.starts_with(kAnyV6)) return fmt::format("[::1]:{}", where.substr(kAnyV6.size()));
  if (where.empty() || where.starts_with("fd:") || where.find(':') == std::string_view::npos)
    return std::nullopt;
  return std::string(where);
}

}  // namespace

std::string shell_word(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,/:@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(text);
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') {
      word += "'\\''";
    } else {
      word += c;
    }
  }
  return word + "'";
}

GdbFiles gdb_files(const std::string& symbols) {
  std::error_code unknown;
  GdbFiles files{std::filesystem::current_path(unknown), {}, {}};
  if (symbols.empty()) return files;
  files.symbols = absolute_path(symbols);
  const std::filesystem::path folder = std::filesystem::path(files.symbols).parent_path();
  if (std::filesystem::exists(folder / "vmlinux-gdb.py", unknown)) files.scripts = folder;
  return files;
}

std::optional<std::string> gdb_line(std::string_view where, const GdbFiles& files) {
  const std::optional<std::string> target = target_of(where, files.directory);
  if (!target) return std::nullopt;
  std::string line = "gdb";
  // GDB loads such commands only from where it may.
  if (!files.scripts.empty())
    line += " -iex " + shell_word("add-auto-load-safe-path " + files.scripts);
  if (!files.symbols.empty()) line += " " + shell_word(files.symbols);
  return line + " -ex " + shell_word("target remote " + *target);
}

}  // namespace ringside::cli
