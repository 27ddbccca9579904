#include "machine/boot/acpi_placement.h"

#include <gtest/gtest.h>

#include <cstring>

#include "machine/acpi/aml.h"

namespace ringside::machine {
namespace {

struct AcpiTest : ::testing::Test {
  hypervisor::GuestRam ram = *hypervisor::GuestRam::create(4 << 20);

  template <typename T>
  T at(std::uint64_t address) {
    T value;
    std::memcpy(&value, ram.host({address}, sizeof value), sizeof value);
    return value;
  }
  std::string text(std::uint64_t address, std::size_t size) {
    return {reinterpret_cast<const char*>(ram.host({address}, size)), size};
  }
  unsigned sum(std::uint64_t address, std::size_t size) {
    unsigned total = 0;
    for (char c : text(address, size))
      total += static_cast<std::uint8_t>(c);
    return total & 0xff;
  }
  // Checks header and checksum; gives the signature.
  std::string table(std::uint64_t address) {
    EXPECT_EQ(sum(address, at<std::uint32_t>(address + 4)), 0u);
    return text(address, 4);
  }
};

TEST_F(AcpiTest, TablesAreLinkedAndSumToZero) {
  const Gpa root = *write_acpi_tables(ram, {2, 1});
  EXPECT_EQ(root.value, 0xe0000u);
  EXPECT_EQ(text(root.value, 8), "RSD PTR ");
  EXPECT_EQ(sum(root.value, 20), 0u);
  EXPECT_EQ(sum(root.value, 36), 0u);
  const auto xsdt = at<std::uint64_t>(root.value + 24);
  EXPECT_EQ(table(xsdt), "XSDT");
  EXPECT_EQ(table(at<std::uint32_t>(root.value + 16)), "RSDT");
  const auto fadt = at<std::uint64_t>(xsdt + 36), madt = at<std::uint64_t>(xsdt + 44);
  EXPECT_EQ(table(fadt), "FACP");
  EXPECT_EQ(at<std::uint32_t>(fadt + 4), 268u);
  EXPECT_EQ(table(madt), "APIC");
  const auto dsdt = at<std::uint64_t>(fadt + 140);
  EXPECT_EQ(table(dsdt), "DSDT");
  EXPECT_EQ(at<std::uint32_t>(fadt + 40), dsdt);
  EXPECT_EQ(at<std::uint64_t>(fadt + 132), 0u);
  const auto facs = at<std::uint32_t>(fadt + 36);
  EXPECT_EQ(text(facs, 4), "FACS");
  EXPECT_EQ(facs % 64, 0u);
}

TEST_F(AcpiTest, FixedHardwareIsWhereTheFadtSays) {
  const Gpa root = *write_acpi_tables(ram, {});
  const auto fadt = at<std::uint64_t>(at<std::uint64_t>(root.value + 24) + 36);
  EXPECT_EQ(at<std::uint16_t>(fadt + 46), 9u);
  EXPECT_EQ(at<std::uint32_t>(fadt + 56), 0x600u);
  EXPECT_EQ(at<std::uint32_t>(fadt + 64), 0x604u);
  EXPECT_EQ(at<std::uint32_t>(fadt + 76), 0x608u);
  EXPECT_EQ(at<std::uint8_t>(fadt + 91), 4u);
  EXPECT_EQ(at<std::uint8_t>(fadt + 108), 0x32u);
  EXPECT_EQ(at<std::uint32_t>(fadt + 112) & 0x500, 0x500u);  // reset register, 32-bit timer
  EXPECT_EQ(at<std::uint64_t>(fadt + 120), 0xcf9u);
  EXPECT_EQ(at<std::uint8_t>(fadt + 128), 6u);
  EXPECT_EQ(at<std::uint64_t>(fadt + 152), 0x600u);
  EXPECT_EQ(at<std::uint64_t>(fadt + 176), 0x604u);
  EXPECT_EQ(at<std::uint64_t>(fadt + 212), 0x608u);
}

TEST_F(AcpiTest, MadtNamesEveryProcessor) {
  const Gpa root = *write_acpi_tables(ram, {64, 8});
  const auto madt = at<std::uint64_t>(at<std::uint64_t>(root.value + 24) + 44);
  unsigned processors = 0, others = 0;
  for (std::uint64_t i = madt + 44; i < madt + at<std::uint32_t>(madt + 4);
       i += at<std::uint8_t>(i + 1)) {
    if (at<std::uint8_t>(i) == 0) {
      EXPECT_EQ(at<std::uint8_t>(i + 3), processors++);
    } else {
      ++others;
    }
  }
  EXPECT_EQ(processors, 64u);
  EXPECT_EQ(others, 4u);
}

TEST_F(AcpiTest, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(write_acpi_tables(ram, {65, 0}));
  EXPECT_FALSE(write_acpi_tables(ram, {1, 9}));
}

TEST(Aml, EncodesIntegersInTheirShortestForm) {
  EXPECT_EQ(aml::integer(0), std::string("\0", 1));
  EXPECT_EQ(aml::integer(1), "\1");
  EXPECT_EQ(aml::integer(5), "\x0a\x05");
  EXPECT_EQ(aml::integer(0x1234), "\x0b\x34\x12");
  EXPECT_EQ(aml::integer(0x12345678), "\x0c\x78\x56\x34\x12");
  EXPECT_EQ(aml::integer(0x123456789a).size(), 9u);
}

TEST(Aml, LengthsCountThemselves) {
  EXPECT_EQ(aml::scope("ABCD", std::string(58, 'x')).substr(0, 2), "\x10\x3f");
  EXPECT_EQ(aml::scope("ABCD", std::string(59, 'x')).substr(0, 3), "\x10\x41\x04");
  // 4100 + 4 + 3 = 0x100b
  EXPECT_EQ(aml::scope("ABCD", std::string(4100, 'x')).substr(0, 4),
            std::string("\x10\x8b\x00\x01", 4));
}

TEST(Aml, CompressesEisaIds) { EXPECT_EQ(aml::eisa_id("PNP0501"), "\x0c\x41\xd0\x05\x01"); }

}  // namespace
}  // namespace ringside::machine
