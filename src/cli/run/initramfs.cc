#include "cli/run/initramfs.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <utility>

#include "cli/run/cpio.h"
#include "cli/run/init_script.h"
#include "cli/start/files.h"

namespace ringside::cli {
namespace {

namespace fs = std::filesystem;

template <typename T>
bool read_at(std::span<const std::byte> bytes, std::uint64_t at, T& value) {
  if (at > bytes.size() || bytes.size() - at < sizeof value) return false;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return true;
}

// A program for this processor that needs no other file.
bool is_static_program(std::span<const std::byte> bytes) {
  Elf64_Ehdr header;
  if (!read_at(bytes, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
    return false;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!read_at(bytes, header.e_phoff + std::uint64_t{i} * sizeof segment, segment)) return false;
    if (segment.p_type == PT_INTERP) return false;
  }
  return true;
}

// As the script's shell reads it: nothing in these has a quote (tags are letters and digits).
std::string setup_text(const GuestSetup& setup) {
  std::string shares;
  for (const std::string& tag : setup.shares)
    shares += (shares.empty() ? "" : " ") + tag;
  return fmt::format("console='{}'\nshares='{}'\nnetwork='{}'\n", setup.console, shares,
                     setup.has_network ? "yes" : "");
}

Result<void> add_entry(CpioArchive& archive, const fs::path& path, const std::string& name,
                       std::uint64_t most, const Meanwhile& meanwhile) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0)
    return fail(Error::from_errno(fmt::format("--initramfs: '{}'", path.string()), errno));
  if (S_ISDIR(status.st_mode)) {
    archive.add_directory(name, status.st_mode);
  } else if (S_ISLNK(status.st_mode)) {
    std::error_code failure;
    const std::string target = fs::read_symlink(path, failure);
    if (failure)
      return fail(
          Error::from_errno(fmt::format("--initramfs: '{}'", path.string()), failure.value()));
    archive.add_link(name, target);
  } else if (S_ISREG(status.st_mode)) {
    Reading reading;
    reading.meanwhile = meanwhile;
    reading.most = most - std::min<std::uint64_t>(most, archive.size());
    reading.beyond = fmt::format(
        "there is no room for all of --initramfs in the guest's {} MiB of memory; give it more "
        "with -m",
        most >> 20);
    const FileContent content = TRY(read_file(path, "file", reading));
    TRY(archive.add_file(name, status.st_mode, content.bytes()));
  } else if (!S_ISSOCK(status.st_mode)) {
    archive.add_node(name, status.st_mode, major(status.st_rdev), minor(status.st_rdev));
  }
  return {};
}

// `prefix` is what stands before its names in the archive.
Result<void> add_directory(CpioArchive& archive, const fs::path& directory,
                           const std::string& prefix, std::uint64_t most,
                           const Meanwhile& meanwhile) {
  std::error_code failure;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(directory, failure), end; !failure && entry != end;
       entry.increment(failure))
    names.push_back(entry->path().filename());
  if (failure) {
    return fail(Error::from_errno(fmt::format("--initramfs: directory '{}'", directory.string()),
                                  failure.value()));
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const fs::path path = directory / name;
    TRY(add_entry(archive, path, prefix + name, most, meanwhile));
    if (meanwhile) TRY(meanwhile({"making the initramfs", archive.size()}));
    if (fs::symlink_status(path, failure).type() == fs::file_type::directory)
      TRY(add_directory(archive, path, prefix + name + "/", most, meanwhile));
  }
  return {};
}

}  // namespace

Result<std::string> find_busybox(const std::string& root) {
  std::string dynamic;
  for (const char* place : {"/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"}) {
    const std::string path = root + place;
    std::error_code unknown;
    if (!fs::is_regular_file(path, unknown)) continue;
    const FileContent content = TRY(read_file(path, "busybox"));
    if (is_static_program(content.bytes())) return path;
    dynamic = path;
  }
  return fail(ErrorCode::NotFound,
              fmt::format("{}; the initramfs is made of a static one: apt install busybox-static, "
                          "or name yours with --initramfs DIR or -i FILE",
                          dynamic.empty() ? "there is no busybox on this host"
                                          : fmt::format("'{}' needs shared libraries", dynamic)));
}

Result<std::vector<std::byte>> busybox_initramfs(const std::string& busybox,
                                                 const std::vector<KernelModule>& modules,
                                                 const GuestSetup& setup) {
  constexpr std::uint32_t kProgram = 0755, kText = 0644;
  const FileContent program = TRY(read_file(busybox, "busybox"));
  CpioArchive archive;
  for (const char* name :
       {"bin", "dev", "etc", "etc/udhcpc", "mnt", "modules", "proc", "root", "run", "sys", "tmp"})
    archive.add_directory(name);
  TRY(archive.add_file("bin/busybox", kProgram, program.bytes()));
  // Where there is no devtmpfs, these are all.
  archive.add_node("dev/console", S_IFCHR | 0600, 5, 1);
  archive.add_node("dev/null", S_IFCHR | 0666, 1, 3);
  archive.add_node("dev/ttyS0", S_IFCHR | 0600, 4, 64);
  TRY(archive.add_file("etc/group", kText, "root:x:0:\n"));
  TRY(archive.add_file("etc/passwd", kText, "root:x:0:0:root:/root:/bin/sh\n"));
  TRY(archive.add_file("etc/ringside", kText, setup_text(setup)));
  TRY(archive.add_file("etc/udhcpc/default.script", kProgram, kLeaseScript));
  TRY(archive.add_file("init", kProgram, kInitScript));
  std::string order;
  for (const KernelModule& module : modules) {
    order += module.name + "\n";
    TRY(archive.add_file("modules/" + module.name + ".ko", kText, module.content));
  }
  TRY(archive.add_file("modules/order", kText, order));
  return std::move(archive).finish();
}

Result<std::vector<std::byte>> directory_initramfs(const std::string& directory, std::uint64_t most,
                                                   const Meanwhile& meanwhile) {
  std::error_code unknown;
  if (fs::exists(directory, unknown) &&
      fs::symlink_status(fs::path(directory) / "init", unknown).type() ==
          fs::file_type::not_found) {
    return fail(ErrorCode::BadRequest,
                fmt::format("--initramfs: '{}' has no init, which Linux starts first", directory));
  }
  CpioArchive archive;
  TRY(add_directory(archive, directory, "", most, meanwhile));
  return std::move(archive).finish();
}

}  // namespace ringside::cli
