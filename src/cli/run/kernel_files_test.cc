#include "cli/run/kernel_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/fd.h"
#include "base/testing/temporary_folder.h"

namespace ringside::cli {
namespace {

// A host in a folder of its own.
class KernelFilesTest : public ::testing::Test {
 protected:
  KernelFilesTest() {
    std::filesystem::create_directories(tree_);
    places_ = {.directory = tree_, .root = root_, .release = "6.9.0-own"};
  }
  void put(const std::string& path, const std::string& content = "x") const {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << content;
  }
  // As much of a bzImage as says its version.
  static std::string image(const std::string& version) {
    std::string bytes(0x300, '\0');
    bytes.replace(0x202, 4, "HdrS");
    bytes[0x20e] = '\x80';
    bytes.replace(0x280, version.size(), version);
    return bytes;
  }
  std::string found() const {
    const Result<std::string> kernel = find_kernel(places_);
    return kernel ? *kernel : kernel.error().text();
  }

  const ringside::testing::TemporaryFolder scratch_;
  const std::string root_ = scratch_ / "root", tree_ = scratch_ / "tree";
  Places places_;
};

TEST_F(KernelFilesTest, ATreesKernelComesFirstThenTheHostsThenTheNewest) {
  EXPECT_EQ(found(), "no kernel: there is no " + tree_ + "/arch/x86/boot/bzImage, " + root_ +
                         "/boot/vmlinuz-6.9.0-own or other " + root_ +
                         "/boot/vmlinuz-*; name one, as in 'ringside run vmlinuz', or install "
                         "Debian's: apt install linux-image-amd64");
  put(root_ + "/boot/vmlinuz-6.2.0");
  put(root_ + "/boot/initrd.img-6.30.0");
  std::filesystem::create_directories(root_ + "/boot/vmlinuz-9-a-folder");
  EXPECT_EQ(found(), root_ + "/boot/vmlinuz-6.2.0");
  put(root_ + "/boot/vmlinuz-6.12.0");
  EXPECT_EQ(found(), root_ + "/boot/vmlinuz-6.12.0") << "12 is more than 2";
  put(root_ + "/boot/vmlinuz-6.9.0-own");
  EXPECT_EQ(found(), root_ + "/boot/vmlinuz-6.9.0-own");
  put(tree_ + "/arch/x86/boot/bzImage");
  EXPECT_EQ(found(), tree_ + "/arch/x86/boot/bzImage");
}

TEST_F(KernelFilesTest, ATreeHasEverythingInIt) {
  const std::string kernel = tree_ + "/arch/x86/boot/bzImage";
  put(kernel, image("6.12.0-rc1+ (me@here) #1"));
  put(root_ + "/lib/modules/6.12.0-rc1+/modules.order");
  KernelFiles files = files_of(kernel, places_);
  EXPECT_EQ(files.version, "6.12.0-rc1+");
  EXPECT_EQ(files.symbols + files.modules + files.configuration, "") << "not another kernel's";
  for (const char* name : {"/vmlinux", "/.config", "/modules.order"})
    put(tree_ + name);
  files = files_of(kernel, places_);
  EXPECT_EQ(files.symbols, tree_ + "/vmlinux");
  EXPECT_EQ(files.modules, tree_);
  EXPECT_EQ(files.configuration, tree_ + "/.config");
  // Its vmlinux can be named as well.
  put(tree_ + "/vmlinux",
      "\x7f"
      "ELF");
  files = files_of(tree_ + "/vmlinux", places_);
  EXPECT_EQ(files.symbols, tree_ + "/vmlinux");
  EXPECT_EQ(files.modules, tree_);
}

TEST_F(KernelFilesTest, ADistributionsAreFoundByTheVersionInTheKernelsFile) {
  const std::string kernel = root_ + "/boot/vmlinuz-other-name";
  put(kernel, image("6.1.0-9-amd64 (debian)"));
  put(root_ + "/boot/config-6.1.0-9-amd64");
  put(root_ + "/usr/lib/modules/6.1.0-9-amd64/modules.order");
  put(root_ + "/usr/lib/debug/boot/vmlinux-6.1.0-9-amd64");
  const KernelFiles files = files_of(kernel, places_);
  EXPECT_EQ(files.configuration, root_ + "/boot/config-6.1.0-9-amd64");
  EXPECT_EQ(std::filesystem::canonical(files.modules),
            std::filesystem::canonical(root_ + "/usr/lib/modules/6.1.0-9-amd64"));
  EXPECT_TRUE(std::filesystem::equivalent(files.symbols,
                                          root_ + "/usr/lib/debug/boot/vmlinux-6.1.0-9-amd64"));
}

// A package that was unpacked somewhere: its own, and not this host's.
TEST_F(KernelFilesTest, AnUnpackedPackageHasItsOwn) {
  const std::string package = scratch_ / "package", version = "6.1.0-9-amd64";
  put(package + "/boot/vmlinuz-" + version, image(version + " (debian)"));
  put(package + "/lib/modules/" + version + "/modules.order");
  put(root_ + "/lib/modules/" + version + "/modules.order");
  const KernelFiles files = files_of(package + "/boot/vmlinuz-" + version, places_);
  EXPECT_TRUE(std::filesystem::equivalent(files.modules, package + "/lib/modules/" + version));
}

// `ringside run <(command)`: whoever reads a pipe first has what is in it.
TEST_F(KernelFilesTest, APipeIsNotReadFrom) {
  const std::string pipe = scratch_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const Fd end(::open(pipe.c_str(), O_RDWR | O_NONBLOCK));
  const std::string bytes = image("6.1.0");
  ASSERT_EQ(::write(end.get(), bytes.data(), bytes.size()), std::ssize(bytes));
  const KernelFiles files = files_of(pipe, places_);
  EXPECT_EQ(files.kernel, pipe);
  EXPECT_EQ(files.version, "");
  std::array<char, 0x400> left{};
  EXPECT_EQ(::read(end.get(), left.data(), left.size()), std::ssize(bytes));
}

TEST_F(KernelFilesTest, WhatNoKernelSaysIsNoPath) {
  for (const std::string& content : {std::string(), std::string("short"), std::string(0x400, 'x'),
                                     image("../../etc"), image("6.1/x"), image("")}) {
    put(root_ + "/boot/vmlinuz-a", content);
    EXPECT_EQ(files_of(root_ + "/boot/vmlinuz-a", places_).version, "");
  }
}

}  // namespace
}  // namespace ringside::cli
