#include "cli/run/kernel_files.h"

#include <fmt/format.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "machine/boot/elf_image.h"

namespace ringside::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInTree = "arch/x86/boot/bzImage";
constexpr std::string_view kVmlinuz = "vmlinuz-";

bool is_file(const std::string& path) {
  std::error_code unknown;
  return fs::is_regular_file(path, unknown);
}

// The first of these that is there, or nothing.
std::string first_of(std::initializer_list<std::string> paths) {
  for (const std::string& path : paths)
    if (!path.empty() && is_file(path)) return path;
  return {};
}

// A version is newer than another as people number them: 6.9 is before 6.10.
std::string newest_in(const std::string& boot) {
  std::string newest;
  std::error_code unknown;
  for (const fs::directory_entry& entry : fs::directory_iterator(boot, unknown)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kVmlinuz) || !is_file(entry.path())) continue;
    if (newest.empty() || ::strverscmp(newest.c_str(), name.c_str()) < 0) newest = name;
  }
  return newest.empty() ? newest : boot + "/" + newest;
}

// The header of a bzImage says where its version stands, a text whose first word it is
// (Documentation/arch/x86/boot.rst, "kernel_version").
std::string version_in(const std::string& kernel) {
  constexpr std::size_t kSector = 512, kMagicAt = 0x202, kVersionAt = 0x20e, kLongest = 80;
  std::array<char, kSector + 0x10000 + kLongest> bytes{};
  std::ifstream file(kernel, std::ios::binary);
  file.read(bytes.data(), bytes.size());
  if (std::string_view(bytes.data() + kMagicAt, 4) != "HdrS") return {};
  const auto low = static_cast<unsigned char>(bytes[kVersionAt]);
  const auto high = static_cast<unsigned char>(bytes[kVersionAt + 1]);
  const std::size_t at = low + 256u * high;
  if (at == 0) return {};
  const std::string_view text(bytes.data() + kSector + at, kLongest);
  const std::string version(text.substr(0, text.find_first_of(std::string_view(" \n\0", 3))));
  // It becomes a part of paths.
  return version.find('/') == std::string::npos ? version : std::string();
}

// The kernel tree that a file is in, or nothing.
std::string tree_of(const std::string& kernel) {
  const fs::path path(kernel);
  if (kernel.ends_with(kInTree)) {
    const std::string tree = kernel.substr(0, kernel.size() - kInTree.size());
    return tree.empty() ? "." : tree == "/" ? tree : tree.substr(0, tree.size() - 1);
  }
  const std::string parent = path.has_parent_path() ? path.parent_path().string() : ".";
  return path.filename() == "vmlinux" && is_file(parent + "/modules.order") ? parent : "";
}

bool is_elf(const std::string& path) {
  std::array<char, 4> beginning{};
  std::ifstream(path, std::ios::binary).read(beginning.data(), beginning.size());
  return machine::is_elf(std::as_bytes(std::span(beginning)));
}

}  // namespace

Places places_of_this_host() {
  utsname names{};
  ::uname(&names);
  return {.release = names.release};
}

Result<std::string> find_kernel(const Places& places) {
  const std::string in_tree = places.directory + "/" + std::string(kInTree);
  const std::string boot = places.root + "/boot";
  const std::string own = boot + "/" + std::string(kVmlinuz) + places.release;
  std::string found = first_of({in_tree, own});
  if (found.empty()) found = newest_in(boot);
  if (found.empty()) {
    return fail(ErrorCode::NotFound,
                fmt::format("no kernel: there is no {}, {} or other {}/{}*; name one, as in "
                            "'ringside run vmlinuz', or install Debian's: apt install "
                            "linux-image-amd64",
                            in_tree, own, boot, kVmlinuz));
  }
  if (::access(found.c_str(), R_OK) == 0) return found;
  return fail(
      ErrorCode::BadRequest,
      fmt::format("kernel '{}' is another user's, and may not be read; copy it as root, and "
                  "name the copy: ringside run COPY",
                  found));
}

KernelFiles files_of(const std::string& kernel, const Places& places) {
  KernelFiles files;
  files.kernel = kernel;
  // What is read of a pipe here would be missing from the kernel.
  if (!is_file(kernel)) return files;
  files.version = version_in(kernel);
  const std::string& version = files.version;
  const fs::path folder = fs::path(kernel).parent_path();
  const std::string beside = folder.empty() ? "." : folder.string();
  const std::string tree = tree_of(kernel);
  if (is_elf(kernel)) files.symbols = kernel;
  if (!tree.empty()) {
    if (files.symbols.empty()) files.symbols = first_of({tree + "/vmlinux"});
    files.configuration = first_of({tree + "/.config"});
    if (is_file(tree + "/modules.order")) files.modules = tree;
    return files;
  }
  if (files.symbols.empty()) files.symbols = first_of({beside + "/vmlinux"});
  if (version.empty()) return files;
  files.configuration =
      first_of({beside + "/config-" + version, places.root + "/boot/config-" + version});
  // A package that was unpacked somewhere has its own folders beside its boot.
  for (const std::string& root : {beside + "/..", places.root}) {
    if (files.symbols.empty()) {
      files.symbols =
          first_of({fmt::format("{}/usr/lib/debug/boot/vmlinux-{}", root, version),
                    fmt::format("{}/usr/lib/debug/lib/modules/{}/vmlinux", root, version)});
    }
    for (const char* libraries : {"lib", "usr/lib"}) {
      const std::string modules = fmt::format("{}/{}/modules/{}", root, libraries, version);
      if (files.modules.empty() && is_file(modules + "/modules.order")) files.modules = modules;
    }
  }
  return files;
}

}  // namespace ringside::cli
