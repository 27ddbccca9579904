// Rows 22 to 31: memory as the current vCPU sees it, and devices.
#include "protocol/protocol_test.h"
#include "ringside/x86/registers.h"

namespace ringside::testing {
namespace {

constexpr std::uint64_t kLapic = 0xfee00000;

TEST_F(Protocol, Row22_MemoryIsSeenThroughTheCurrentVcpusPageTables) {
  GuestProcess guest("spaces", {.cpus = 2, .start = Start::Running});
  guest.await_said("01");
  DebugClient client = guest.attach();
  const std::uint64_t address = guest["private"];
  client.select(0);
  EXPECT_EQ(client.read(address, 8), "space  A");
  client.select(1);
  EXPECT_EQ(client.read(address, 8), "space  B");
  client.write(address, "written!");
  EXPECT_EQ(client.read(address, 8), "written!");
  client.select(0);
  EXPECT_EQ(client.read(address, 8), "space  A");
}

// One guest per paging mode; in each, named pages hold their name.
class PagingModes : public Protocol {
 protected:
  void check(const char* name, std::initializer_list<const char*> sizes) {
    GuestProcess guest(name, {.start = Start::Running});
    guest.await_said("r");
    DebugClient client = guest.attach();
    EXPECT_EQ(client.rip(), guest["spin"]);
    for (const std::string size : sizes) {
      const std::uint64_t address = guest[(size + "_page").c_str()];
      const std::string text = size + " frame";
      EXPECT_EQ(client.read(address, text.size()), text) << std::hex << address;
      client.write(address + size.size() + 1, "FRAME");
      EXPECT_EQ(client.read(guest[(size + "_frame").c_str()], text.size()), size + " FRAME");
    }
  }
};

TEST_F(PagingModes, Row23_PagingOff) { check("flat32", {"small"}); }
TEST_F(PagingModes, Row23_32Bit) {
  NEEDS(Feature::EveryInstruction);
  check("paging32", {"small", "large"});
}
TEST_F(PagingModes, Row23_Pae) {
  NEEDS(Feature::EveryInstruction);
  check("pae", {"small", "large"});
}
TEST_F(PagingModes, Row23_4Level) { check("paging64", {"small", "large", "huge"}); }
TEST_F(PagingModes, Row23_5Level) {
  NEEDS(Feature::FiveLevelPaging);
  check("la57", {"small", "large", "huge"});
}

// The guest of pages.S, stopped in user mode; it maps a window of pages that only we look at.
class Pages : public Protocol {
 protected:
  void SetUp() override {
    Protocol::SetUp();
    if (IsSkipped()) return;
    NEEDS(Feature::EveryInstruction);
    guest_.emplace("pages");
    client_.emplace(guest_->connect());
    client_->run_to(symbol("user_loop"));
    ASSERT_EQ(client_->registers()[kCs] & 3, 3u);
    window_ = symbol("window");
  }
  std::uint64_t symbol(const char* name) { return (*guest_)[name]; }
  std::string window_tables() { return client_->read(symbol("window_pt"), 64); }

  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
  std::uint64_t window_ = 0;
};

TEST_F(Pages, Row24_SupervisorPagesAreReadFromUserMode) {
  EXPECT_EQ(client_->read(window_ + 0x5000, 8), "5 SUPER5");
  client_->write(window_ + 0x5000, "changed!");
  EXPECT_EQ(client_->read(symbol("supervisor_frame"), 8), "changed!");
}

TEST_F(Pages, Row24_ReadOnlyPagesAreWritten) {
  client_->write(window_ + 0x4000, "changed!");
  EXPECT_EQ(client_->read(window_ + 0x4000, 16), "changed!4RDONLY4");
  EXPECT_EQ(client_->read(symbol("read_only_frame"), 8), "changed!");
}

TEST_F(Pages, Row25_ARangeCrossesPagesThatAreNoNeighbours) {
  EXPECT_EQ(client_->read(window_ + 0xff8, 16), "1 FIRST13 THIRD3");
  const std::string three = client_->read(window_ + 0xff8, 0x1010);
  ASSERT_EQ(three.size(), 0x1010u);
  EXPECT_EQ(three.substr(0, 8), "1 FIRST1");
  EXPECT_EQ(three.substr(8, 8), "3 THIRD3");
  EXPECT_EQ(three.substr(0x1008), "2SECOND2");
  client_->write(window_ + 0xffc, "AAAABBBB");
  EXPECT_EQ(client_->read(symbol("first_frame") + 0xffc, 4), "AAAA");
  EXPECT_EQ(client_->read(symbol("third_frame"), 4), "BBBB");
}

TEST_F(Pages, Row26_APartlyMappedRangeGivesItsPrefix) {
  EXPECT_EQ(client_->read(window_ + 0x2ff8, 64), "2SECOND2");
  EXPECT_EQ(client_->request("m" + hex_number(window_ + 0x3000) + ",8"), "E0e");
  EXPECT_EQ(client_->request("m" + hex_number(window_ + 0x3ffc) + ",8"), "E0e");
}

TEST_F(Pages, ASearchStepsOverHoles) {
  const auto search = [&](std::uint64_t from, std::uint64_t length, const char* what) {
    return client_->request("qSearch:memory:" + hex_number(from) + ";" + hex_number(length) + ";" +
                            what);
  };
  // The page before this one is not mapped.
  EXPECT_EQ(search(window_, 0x10000, "RDONLY4"), "1," + hex_number(window_ + 0x4001));
  EXPECT_EQ(search(window_ + 0x3000, 0x1000, "RDONLY4"), "E0e");
  // From the first to the last of all addresses, over the hole of the address space's middle.
  EXPECT_EQ(search(0, ~std::uint64_t{0}, "no guest has this"), "0");
  // The guest is loaded above 1 MiB; from 640 KiB to 768 KiB there is nothing.
  client_->request("Qqemu.PhyMemMode:1");
  EXPECT_EQ(search(0, 0x1000000, "5 SUPER5"), "1," + hex_number(symbol("supervisor_frame")));
  EXPECT_EQ(search(0, ~std::uint64_t{0}, "no guest has this"), "0");
}

TEST_F(Pages, MemoryRegions) {
  const auto region = [&](std::uint64_t address) {
    return client_->request("qMemoryRegionInfo:" + hex_number(address));
  };
  const auto range = [](std::uint64_t first, std::uint64_t end) {
    return "start:" + hex_number(first) + ";size:" + hex_number(end - first) + ";";
  };
  // The first GiB is mapped to itself, and the window follows it.
  EXPECT_EQ(region(0x1234), range(0, window_ + 0x3000) + "permissions:rwx;");
  EXPECT_EQ(region(window_ + 0x3abc), range(window_ + 0x3000, window_ + 0x4000));
  EXPECT_EQ(region(window_ + 0x4000),
            range(window_ + 0x4000, window_ + 0x5000) + "permissions:rx;");
  EXPECT_EQ(region(window_ + 0x5000),
            range(window_ + 0x5000, window_ + 0x6000) + "permissions:rwx;");
  // Nothing above 4 GiB; the last address is in no range.
  EXPECT_EQ(region(1ull << 33), range(1ull << 32, ~std::uint64_t{0}));
  EXPECT_EQ(region(~std::uint64_t{0}), "E0e");
}

TEST_F(Pages, Row27_MemoryCanBeWritten) {
  const std::uint64_t frame = symbol("first_frame");
  EXPECT_EQ(client_->request("M" + hex_number(frame) + ",3:616263"), "OK");
  EXPECT_EQ(client_->read(frame, 8), "abcIRST1");
  for (const char* wrong : {",3:6162", ",3:61626", ",3:616263ff", ",3", ":616263", "", ",zz:61"})
    EXPECT_EQ(client_->request("M" + hex_number(frame) + wrong), "E16") << wrong;
  EXPECT_EQ(client_->request("M" + hex_number(window_ + 0x3000) + ",1:00"), "E0e");
  EXPECT_EQ(client_->read(frame, 8), "abcIRST1");
}

TEST_F(Pages, Row30_LookingLeavesNoTrace) {
  const std::string cr2 = "p" + hex_number(static_cast<std::size_t>(x86::Register::Cr2));
  const std::string before = window_tables(), cr2_before = client_->request(cr2);
  EXPECT_EQ(cr2_before, hex(little_endian(0x12345678, 8)));
  client_->read(window_, 0x1800);
  client_->write(window_ + 0x1000, "x");
  client_->write(window_ + 0x4000, "x");
  EXPECT_EQ(client_->request("m" + hex_number(window_ + 0x3000) + ",8"), "E0e");
  EXPECT_EQ(window_tables(), before);  // no accessed, no dirty bit
  EXPECT_EQ(client_->request(cr2), cr2_before);
}

TEST_F(Pages, Row31_ZeroLengthIsAnEmptyReply) {
  EXPECT_EQ(client_->request("m0,0"), "");
  EXPECT_EQ(client_->request("m" + hex_number(window_) + ",0"), "");
  EXPECT_EQ(client_->request("m" + hex_number(window_) + ",0,"), "E16");
  for (const char* wrong : {"m", "m,", "m,1", "m1000", "mx,1"})
    EXPECT_EQ(client_->request(wrong), "E16") << wrong;
}

TEST_F(Protocol, Row28_DevicesAreReadOnBehalfOfTheCurrentVcpu) {
  GuestProcess guest("counters", {.cpus = 2, .start = Start::Running});
  guest.await_said("01");
  DebugClient client = guest.attach();
  client.select(0);
  EXPECT_EQ(client.read(kLapic + 0x20, 4), little_endian(0, 4));
  client.select(1);
  EXPECT_EQ(client.read(kLapic + 0x20, 4), little_endian(1 << 24, 4));
  // Narrow reads are parts of the register.
  const std::string version = client.read(kLapic + 0x30, 4);
  EXPECT_NE(version, std::string(4, '\0'));
  EXPECT_EQ(client.read(kLapic + 0x30, 1), version.substr(0, 1));
  EXPECT_EQ(client.read(kLapic + 0x32, 2), version.substr(2, 2));
}

TEST_F(Protocol, Row29_AnAlignedWriteIsOneDeviceAccess) {
  GuestProcess guest("interrupts");
  DebugClient client = guest.attach();
  client.run_to(guest["sled"]);
  // An interprocessor interrupt to the vCPU itself: a write in pieces would send none, or several.
  client.write(kLapic + 0x300, little_endian(0x40041, 4));
  client.run_to(guest["sent_handler"]);
  EXPECT_EQ(client.read_u64(guest["sent"]), 0u);
  const auto run = [&] {
    client.resume();
    client.stop();
    return client.read_u64(guest["sent"]);
  };
  for (const Deadline deadline; run() == 0 && !deadline.passed();) {
  }
  run();
  EXPECT_EQ(run(), 1u);
}

}  // namespace
}  // namespace ringside::testing
