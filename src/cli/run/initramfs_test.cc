#include "cli/run/initramfs.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/testing/temporary_folder.h"
#include "cli/run/init_script.h"

namespace ringside::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSubsetOf;

struct Entry {
  std::string name;
  unsigned long mode = 0;
  std::string content;
};

// As cpio(5) has the format.
std::vector<Entry> read(const std::vector<std::byte>& archive) {
  const std::string text(reinterpret_cast<const char*>(archive.data()), archive.size());
  const auto number = [&](std::size_t at, std::size_t field) {
    return std::stoul(text.substr(at + 6 + 8 * field, 8), nullptr, 16);
  };
  const auto aligned = [](std::size_t at) { return (at + 3) / 4 * 4; };
  std::vector<Entry> entries;
  for (std::size_t at = 0;;) {
    const std::size_t size = number(at, 6), length = number(at, 11);
    Entry entry{text.substr(at + 110, length - 1), number(at, 1), {}};
    if (entry.name == "TRAILER!!!") return entries;
    at = aligned(at + 110 + length);
    entry.content = text.substr(at, size);
    at = aligned(at + size);
    entries.push_back(std::move(entry));
  }
}
std::vector<std::string> names(const std::vector<Entry>& entries) {
  std::vector<std::string> result;
  result.reserve(entries.size());
  for (const Entry& entry : entries)
    result.push_back(entry.name);
  return result;
}
const Entry& named(const std::vector<Entry>& entries, const std::string& name) {
  for (const Entry& entry : entries)
    if (entry.name == name) return entry;
  throw std::runtime_error("no " + name);
}

std::string program(bool is_static) {
  struct {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
  } file{};
  std::memcpy(file.header.e_ident, ELFMAG, SELFMAG);
  file.header.e_ident[EI_CLASS] = ELFCLASS64;
  file.header.e_machine = EM_X86_64;
  file.header.e_phoff = sizeof file.header;
  file.header.e_phnum = 1;
  file.segment.p_type = is_static ? PT_LOAD : PT_INTERP;
  return {reinterpret_cast<const char*>(&file), sizeof file};
}

class InitramfsTest : public ::testing::Test {
 protected:
  void put(const std::string& path, const std::string& content) const {
    const std::filesystem::path place = path_ + path;
    std::filesystem::create_directories(place.parent_path());
    std::ofstream(place, std::ios::binary) << content;
  }
  std::string busybox() const {
    const Result<std::string> found = find_busybox(path_);
    return found ? *found : found.error().text();
  }
  std::string refused() const {
    const auto made = directory_initramfs(path_, 1u << 20, {});
    return made ? "made" : made.error().text();
  }

  const ringside::testing::TemporaryFolder scratch_;
  const std::string path_ = scratch_.path();
};

TEST_F(InitramfsTest, WantsAStaticBusybox) {
  EXPECT_EQ(busybox(),
            "there is no busybox on this host; the initramfs is made of a static one: apt install "
            "busybox-static, or name yours with --initramfs DIR or -i FILE");
  put("/bin/busybox", program(false));
  EXPECT_THAT(busybox(), HasSubstr("bin/busybox' needs shared libraries; the initramfs"));
  put("/usr/bin/busybox", "#!/bin/sh");
  EXPECT_THAT(busybox(), HasSubstr("needs shared libraries"));
  put("/usr/local/bin/busybox", program(true));
  EXPECT_EQ(busybox(), path_ + "/usr/local/bin/busybox");
}

TEST_F(InitramfsTest, HasBusyboxAScriptAndModulesInTheirOrder) {
  put("/busybox", "the program");
  const std::vector<KernelModule> modules = {{"b", {std::byte{'1'}}}, {"a", {std::byte{'2'}}}};
  const GuestSetup setup{"ttyS0", {"host", "share1"}, true};
  const auto archive = busybox_initramfs(path_ + "/busybox", modules, setup);
  ASSERT_TRUE(archive);
  const std::vector<Entry> entries = read(*archive);
  EXPECT_THAT((std::vector<std::string>{"bin", "dev", "proc", "sys", "tmp", "mnt", "root"}),
              IsSubsetOf(names(entries)));
  EXPECT_EQ(named(entries, "bin/busybox").content, "the program");
  EXPECT_EQ(named(entries, "bin/busybox").mode, S_IFREG | 0755u);
  EXPECT_EQ(named(entries, "init").content, kInitScript);
  EXPECT_EQ(named(entries, "init").mode, S_IFREG | 0755u);
  EXPECT_EQ(named(entries, "dev/console").mode, S_IFCHR | 0600u);
  EXPECT_EQ(named(entries, "etc/ringside").content,
            "console='ttyS0'\nshares='host share1'\nnetwork='yes'\n");
  EXPECT_EQ(named(entries, "modules/order").content, "b\na\n");
  EXPECT_EQ(named(entries, "modules/b.ko").content, "1");
  // At another time, the same.
  put("/busybox", "the program");
  EXPECT_TRUE(busybox_initramfs(path_ + "/busybox", modules, setup).value() == *archive);
}

TEST_F(InitramfsTest, HasADirectoryAsItIs) {
  put("/init", "#!/bin/sh");
  put("/z/inner", "content");
  put("/a", "");
  std::filesystem::create_symlink("/nowhere", path_ + "/link");
  std::filesystem::create_directory_symlink("/", path_ + "/y");
  ::mkfifo((path_ + "/fifo").c_str(), 0600);
  ::chmod((path_ + "/a").c_str(), 04711);
  const auto archive = directory_initramfs(path_, 1u << 20, {});
  ASSERT_TRUE(archive) << archive.error().text();
  const std::vector<Entry> entries = read(*archive);
  EXPECT_THAT(names(entries), ElementsAre("a", "fifo", "init", "link", "y", "z", "z/inner"));
  EXPECT_EQ(named(entries, "a").mode, S_IFREG | 04711u);
  EXPECT_EQ(named(entries, "fifo").mode, S_IFIFO | 0600u);
  EXPECT_EQ(named(entries, "link").content, "/nowhere");
  EXPECT_EQ(named(entries, "z/inner").content, "content");
}

TEST_F(InitramfsTest, OfADirectoryIsRefusedInWords) {
  EXPECT_EQ(refused(), "--initramfs: '" + path_ + "' has no init, which Linux starts first");
  put("/init", "x");
  put("/large", std::string(2u << 20, 'x'));
  EXPECT_EQ(refused(), "cannot read file '" + path_ +
                           "/large': there is no room for all of --initramfs in the guest's 1 MiB "
                           "of memory; give it more with -m");
  EXPECT_EQ(directory_initramfs("/nowhere", 1u << 20, {}).error().text(),
            "--initramfs: directory '/nowhere': No such file or directory");
  const auto given_up = directory_initramfs(
      path_, 1u << 30, [](const Stage&) { return fail(ErrorCode::Busy, "given up"); });
  EXPECT_EQ(given_up.error().text(), "given up");
}

}  // namespace
}  // namespace ringside::cli
