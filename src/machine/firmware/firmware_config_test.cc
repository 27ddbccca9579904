#include "machine/firmware/firmware_config.h"

#include <gtest/gtest.h>

#include "machine/acpi/loader_script.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

struct FirmwareConfigTest : ::testing::Test {
  hypervisor::GuestRam ram = *hypervisor::GuestRam::create(4 << 20);
  testing::FakeCpuPort cpus;
  std::optional<AddressRange> pci_configuration;
  FirmwareConfig config{ram, cpus, 3, "", acpi()};

  FirmwareConfig::AcpiSource acpi() {
    return {[this] { return pci_configuration; },
            [](std::optional<AddressRange> range) {
              AcpiOptions options;
              options.pci_configuration = range;
              return options;
            }};
  }
  void select(unsigned key) { config.write_port({{}, 0x510, 2}, key); }
  std::string read(unsigned count) {
    std::string bytes;
    for (unsigned i = 0; i < count; ++i) {
      std::uint32_t value = 0;
      config.read_port({{}, 0x511, 1}, value);
      bytes += static_cast<char>(value);
    }
    return bytes;
  }
  // A request at 0x1000; gives its control word afterwards.
  std::uint32_t dma(std::uint32_t control, std::uint32_t length, std::uint64_t address) {
    auto* at = reinterpret_cast<std::uint32_t*>(ram.host({0x1000}, 16));
    at[0] = __builtin_bswap32(control);
    at[1] = __builtin_bswap32(length);
    at[2] = __builtin_bswap32(static_cast<std::uint32_t>(address >> 32));
    at[3] = __builtin_bswap32(static_cast<std::uint32_t>(address));
    config.write_port({{}, 0x514, 4}, 0);
    config.write_port({{}, 0x518, 4}, __builtin_bswap32(0x1000));
    return __builtin_bswap32(at[0]);
  }
  std::string memory(std::uint64_t address, std::size_t size) {
    return {reinterpret_cast<const char*>(ram.host({address}, size)), size};
  }
};

TEST_F(FirmwareConfigTest, ReadsItemsByteByByte) {
  select(0);
  EXPECT_EQ(read(5), std::string("QEMU\0", 5));
  select(0);
  EXPECT_EQ(read(2), "QE");
  select(5);
  EXPECT_EQ(read(2), std::string("\3\0", 2));
  select(0x7777);
  EXPECT_EQ(read(1), std::string(1, '\0'));
}

TEST_F(FirmwareConfigTest, ListsTheMemoryMapAsAFile) {
  select(0x19);
  EXPECT_EQ(read(4), std::string("\0\0\0\4", 4));
  const std::string entry = read(64);
  EXPECT_EQ(entry.substr(0, 8), std::string("\0\0\0\x14\0\x20\0\0", 8));
  EXPECT_STREQ(entry.c_str() + 8, "etc/e820");
  select(0x20);
  EXPECT_EQ(read(20), std::string("\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\1\0\0\0", 20));
}

TEST_F(FirmwareConfigTest, HasMoreMemoryAbove4GiB) {
  constexpr auto kLayout = hypervisor::GuestRam::Layout::AsFirmwareExpects;
  hypervisor::GuestRam large = *hypervisor::GuestRam::create(3ull << 30, kLayout);
  FirmwareConfig other{large, cpus, 1, "", acpi()};
  other.write_port({{}, 0x510, 2}, 0x20);
  std::string bytes;
  for (unsigned i = 0; i < 40; ++i) {
    std::uint32_t value = 0;
    other.read_port({{}, 0x511, 1}, value);
    bytes += static_cast<char>(value);
  }
  EXPECT_EQ(bytes.substr(8, 12), std::string("\0\0\0\x80\0\0\0\0\1\0\0\0", 12));
  EXPECT_EQ(bytes.substr(20, 20), std::string("\0\0\0\0\1\0\0\0\0\0\0\x40\0\0\0\0\1\0\0\0", 20));
}

// They say where firmware has put configuration space by the time that it asks.
TEST_F(FirmwareConfigTest, HasAcpiTablesAsPciIsWhenTheyAreFetched) {
  const auto fetch = [&](unsigned key, unsigned size) {
    select(key);
    return read(size);
  };
  const std::string first = fetch(0x23, 4096);
  EXPECT_EQ(first.substr(0, 4), "FACS");
  EXPECT_EQ(first.find("MCFG"), std::string::npos);
  EXPECT_EQ(fetch(0x22, 8), "RSD PTR ");
  pci_configuration = AddressRange{{0xb0000000}, 0x10000000};
  const std::string tables = fetch(0x23, 4096);
  const std::size_t mcfg = tables.find("MCFG");
  ASSERT_NE(mcfg, std::string::npos);
  EXPECT_EQ(tables.substr(mcfg + 44, 8), std::string("\0\0\0\xb0\0\0\0\0", 8));

  // What was selected stays what it was, in another machine too.
  select(0x23);
  pci_configuration.reset();
  FirmwareConfig other{ram, cpus, 3, "", acpi()};
  EXPECT_TRUE(testing::load(other, testing::save(config)));
  std::string loaded;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    std::uint32_t value = 0;
    other.read_port({{}, 0x511, 1}, value);
    loaded += static_cast<char>(value);
  }
  EXPECT_EQ(loaded, tables);
}

TEST_F(FirmwareConfigTest, TellsWhatToDoWithTheTables) {
  AcpiOptions options;
  options.pci_configuration.reset();
  const std::string expected = acpi_loader_script(make_acpi_tables(options));
  select(0x21);
  EXPECT_EQ(read(static_cast<unsigned>(expected.size())), expected);
  EXPECT_EQ(read(128), std::string(128, '\0'));
}

TEST_F(FirmwareConfigTest, AnnouncesDma) {
  std::uint32_t value = 0;
  config.read_port({{}, 0x514, 4}, value);
  EXPECT_EQ(value, 0x554d4551u);
  config.read_port({{}, 0x518, 4}, value);
  EXPECT_EQ(value, 0x47464320u);
}

TEST_F(FirmwareConfigTest, TransfersByDma) {
  std::memset(ram.host({0x2000}, 8), 0xcc, 8);
  EXPECT_EQ(dma(0 << 16 | 8 | 2, 6, 0x2000), 0u);
  EXPECT_EQ(memory(0x2000, 7), std::string("QEMU\0\0\xcc", 7));
  EXPECT_EQ(cpus.written[0], std::make_pair(Gpa{0x2000}, std::uint64_t{6}));
  EXPECT_EQ(dma(0 << 16 | 8 | 4, 2, 0), 0u);  // skip
  EXPECT_EQ(dma(2, 2, 0x2000), 0u);
  EXPECT_EQ(memory(0x2000, 2), "MU");
}

TEST_F(FirmwareConfigTest, RefusesWhatItCannotDo) {
  EXPECT_EQ(dma(16, 1, 0x2000), 1u);
  EXPECT_EQ(dma(2, 0xffffffff, 0x2000), 1u);
  EXPECT_EQ(dma(2, 4, ~std::uint64_t{0} - 1), 1u);
  config.write_port({{}, 0x518, 4}, 0xffffffff);  // the request itself is nowhere
}

TEST_F(FirmwareConfigTest, StateMoves) {
  select(0);
  read(2);
  FirmwareConfig other{ram, cpus, 3, "", acpi()};
  EXPECT_TRUE(testing::load(other, testing::save(config)));
  std::uint32_t value = 0;
  other.read_port({{}, 0x511, 1}, value);
  EXPECT_EQ(value, static_cast<unsigned>('M'));
}

}  // namespace
}  // namespace ringside::machine
