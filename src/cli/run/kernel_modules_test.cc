#include "cli/run/kernel_modules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "base/testing/temporary_folder.h"

namespace ringside::cli {
namespace {

using ::testing::ElementsAre;

std::string module(const std::string& needs) {
  std::string text =
      "\x7f"
      "ELF and code";
  for (const std::string& entry :
       {std::string("license=GPL"), "depends=" + needs, std::string("name=x")})
    text += '\0' + entry;
  return text + '\0';
}

class KernelModulesTest : public ::testing::Test {
 protected:
  void put(const std::string& path, const std::string& content) const {
    const std::filesystem::path place = scratch_ / path.c_str();
    std::filesystem::create_directories(place.parent_path());
    std::ofstream(place, std::ios::binary) << content;
  }
  std::vector<std::string> names(const std::vector<std::string>& wanted) const {
    std::vector<std::string> result;
    const auto modules = collect_modules(scratch_.path(), wanted);
    if (!modules) return {modules.error().text()};
    for (const KernelModule& each : *modules)
      result.push_back(each.name);
    return result;
  }
  const ringside::testing::TemporaryFolder scratch_;
};

TEST_F(KernelModulesTest, ComeBehindThoseThatTheyNeedAndOnce) {
  put("modules.order",
      "kernel/drivers/virtio/virtio.ko\nkernel/drivers/virtio/virtio_ring.ko\n"
      "kernel/net/9p/9pnet.ko\nkernel/net/9p/9pnet_virtio.ko\nkernel/x/virtio-rng.ko\n");
  put("kernel/drivers/virtio/virtio.ko", module(""));
  put("kernel/drivers/virtio/virtio_ring.ko", module("virtio"));
  put("kernel/net/9p/9pnet.ko", module("built-in-one"));
  put("kernel/net/9p/9pnet_virtio.ko", module("virtio,9pnet,virtio_ring"));
  put("kernel/x/virtio-rng.ko", module("virtio"));
  EXPECT_THAT(names({"9pnet_virtio", "virtio_rng", "no_such"}),
              ElementsAre("virtio", "9pnet", "virtio_ring", "9pnet_virtio", "virtio_rng"));
}

TEST_F(KernelModulesTest, AreWhereTheTreeHasBuiltThem) {
  put("modules.order", "a/one.o\nb/two.o\n");
  put("a/one.ko", module("two"));
  put("b/two.ko", module("one"));  // a circle ends
  EXPECT_THAT(names({"one"}), ElementsAre("two", "one"));
}

TEST_F(KernelModulesTest, AreUnpacked) {
  const std::string content = module("");
  put("modules.order", "kernel/a.ko\n");
  const std::string path = scratch_ / "kernel";
  std::filesystem::create_directories(path);
  gzFile file = ::gzopen((path + "/a.ko.gz").c_str(), "wb");
  ::gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
  ::gzclose(file);
  const auto modules = collect_modules(scratch_.path(), {"a"});
  ASSERT_TRUE(modules) << modules.error().text();
  ASSERT_EQ(modules->size(), 1u);
  const auto& bytes = modules->front().content;
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), content);
  put("kernel/a.ko.gz", "\x1f\x8b\x08 broken");
  EXPECT_THAT(names({"a"}), ElementsAre(::testing::StartsWith("kernel module '")));
}

TEST_F(KernelModulesTest, AreNoneWithoutAList) { EXPECT_THAT(names({"a"}), ElementsAre()); }

TEST_F(KernelModulesTest, OneThatIsListedAndNotThereIsNamed) {
  put("modules.order", "a.ko\n");
  EXPECT_THAT(names({"a"}), ElementsAre(::testing::HasSubstr("/a.ko': No such file")));
}

}  // namespace
}  // namespace ringside::cli
