#include "machine/acpi/loader_script.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

namespace ringside::machine {
namespace {

constexpr std::uint64_t kTables = 0x7f5c0040, kRoot = 0xf5a00;

struct Files {
  std::map<std::string, std::string> content;
  std::map<std::string, std::uint64_t> address;
  unsigned allocated = 0;
};

std::uint64_t number(const std::string& bytes, std::size_t at, unsigned size) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + at, size);
  return value;
}

// What firmware does with one command.
void follow(const std::string& command, Files& files) {
  ASSERT_EQ(command.size(), 128u);
  const std::string name = command.data() + 4;
  ASSERT_TRUE(files.content.contains(name)) << name;
  std::string& file = files.content[name];
  switch (number(command, 0, 4)) {
    case 1:
      ++files.allocated;
      EXPECT_EQ(number(command, 64, 1), name == "etc/acpi/rsdp" ? 2u : 1u);
      EXPECT_EQ(files.address[name] % number(command, 60, 4), 0u);
      break;
    case 2: {
      EXPECT_EQ(files.allocated, 2u);
      const std::string to = command.data() + 60;
      const std::uint64_t at = number(command, 116, 4);
      const auto size = static_cast<unsigned>(number(command, 120, 1));
      const std::uint64_t value = number(file, at, size) + files.address.at(to);
      std::memcpy(file.data() + at, &value, size);
      break;
    }
    case 3: {
      unsigned sum = 0;
      const std::uint64_t first = number(command, 64, 4), size = number(command, 68, 4);
      for (std::uint64_t i = first; i < first + size; ++i)
        sum += static_cast<std::uint8_t>(file.at(i));
      file.at(number(command, 60, 4)) = static_cast<char>(-sum);
      break;
    }
    default:
      ADD_FAILURE() << "no such command";
  }
}

// Firmware that follows it has what a loader of ours makes of the same tables.
TEST(LoaderScript, PlacesTheTables) {
  AcpiTables tables = make_acpi_tables({.vcpus = 3, .virtio_devices = 2});
  const std::string script = acpi_loader_script(tables);
  Files files{{{"etc/acpi/rsdp", tables.root.bytes}, {"etc/acpi/tables", tables.tables.bytes}},
              {{"etc/acpi/rsdp", kRoot}, {"etc/acpi/tables", kTables}}};
  ASSERT_EQ(script.size() % 128, 0u);
  for (std::size_t at = 0; at < script.size(); at += 128)
    follow(script.substr(at, 128), files);
  place(tables.tables, {kTables});
  place(tables.root, {kTables});
  EXPECT_EQ(files.content["etc/acpi/tables"], tables.tables.bytes);
  EXPECT_EQ(files.content["etc/acpi/rsdp"], tables.root.bytes);
  EXPECT_EQ(number(tables.root.bytes, 16, 4) & ~0xfffull, kTables & ~0xfffull);
}

}  // namespace
}  // namespace ringside::machine
