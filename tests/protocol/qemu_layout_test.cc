// The monitor's answers beside those of a live QEMU with the same guest at the same instruction,
// because scripts that read them were written for QEMU's.
#include <gmock/gmock.h>

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <regex>
#include <sstream>

#include "protocol/protocol_test.h"
#include "support/qemu.h"

namespace ringside::testing {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

// What is left of a line when the guest's state is taken out: names, order and widths.
std::string shape_of(const std::string& line) {
  static const std::regex digits("[0-9a-f]{2,}"), flags("\\[[-CREWADOSZPA]{3,7}\\]");
  std::string shape = std::regex_replace(line, flags, "[flags]");
  std::string result;
  auto from = shape.cbegin();
  for (std::sregex_iterator match(shape.begin(), shape.end(), digits), end; match != end; ++match) {
    result.append(from, (*match)[0].first).append(static_cast<std::size_t>(match->length()), 'x');
    from = (*match)[0].second;
  }
  return result.append(from, shape.cend());
}

class QemuLayout : public Protocol {
 protected:
  void SetUp() override {
    Protocol::SetUp();
    if (IsSkipped()) return;
    if (engine() != "soft") GTEST_SKIP() << "the layouts are the same for every engine";
    SKIP_IF(no_qemu());
  }
  void TearDown() override {
    qemu_.reset();
    if (!socket_.empty()) std::filesystem::remove(socket_);
  }

  // Both at the first instruction of `symbol`.
  void begin(std::string_view name, const char* symbol) {
    guest_.emplace(name, GuestOptions{});
    ours_.emplace(guest_->attach());
    socket_ = (std::filesystem::temp_directory_path() /
               ("ringside-qemu-" + std::to_string(::getpid()) + ".sock"))
                  .string();
    qemu_ = std::make_unique<ChildProcess>(
        qemu_command(1, "64M",
                     {"-S", "-gdb", "unix:" + socket_ + ",server=on,wait=off", "-kernel",
                      guest_->image().path32()}));
    attach_to_qemu();
    for (DebugClient* client : {&*ours_, &*theirs_}) {
      ASSERT_EQ(client->request("Z1," + hex_number((*guest_)[symbol]) + ",1"), "OK");
      client->send("c");
      client->await_stop();
      ASSERT_EQ(client->request("z1," + hex_number((*guest_)[symbol]) + ",1"), "OK");
    }
  }
  // It does not say when it listens.
  void attach_to_qemu() {
    for (const Deadline deadline; !theirs_;) {
      try {
        theirs_.emplace(socket_);
      } catch (const std::exception&) {
        if (deadline.passed() || !qemu_->running()) throw;
      }
    }
    theirs_->request("qSupported");
    theirs_->request("?");
  }
  std::string ours(const std::string& command) { return monitor(*ours_, command); }
  std::string theirs(const std::string& command) {
    std::string text = monitor(*theirs_, command);
    std::erase(text, '\r');
    return text;
  }

  std::string socket_;
  std::optional<GuestProcess> guest_;
  std::unique_ptr<ChildProcess> qemu_;
  std::optional<DebugClient> ours_, theirs_;
};

TEST_F(QemuLayout, MemoryIsShownInTheSameForm) {
  begin("counters", "main");
  const std::string code = " 0x" + hex_number((*guest_)["main"]);
  EXPECT_EQ(ours("x" + code), theirs("x" + code));
  for (const char* command : {"x", "xp"}) {
    // QEMU remembers a form; here each stands alone. Not d of less than 8 bytes, which QEMU shows
    // without its sign.
    for (const char* form : {"/1xw", "/4xw", "/3xg", "/9xb", "/17xh", "/5uw", "/20ub", "/7uw",
                             "/3dg", "/3ug", "/5ob", "/3ow", "/2og", "/10cb"}) {
      const std::string asked = std::string(command) + form + code;
      EXPECT_EQ(ours(asked), theirs(asked)) << asked;
      const std::string apart = std::string(command) + " " + form + code;
      EXPECT_EQ(ours(apart), theirs(apart)) << apart;
    }
  }
  EXPECT_EQ(ours("xp/2xw" + code + " + 4"), theirs("xp/2xw" + code + " + 4"));
}

class QemuPaging : public QemuLayout, public ::testing::WithParamInterface<const char*> {};

// Ranges, frames and rights, in each paging mode.
TEST_P(QemuPaging, PagesAreTheSame) {
  begin(GetParam(), "spin");
  EXPECT_EQ(ours("info mem"), theirs("info mem"));
  EXPECT_EQ(ours("info tlb"), theirs("info tlb"));
  EXPECT_THAT(ours("info mem"), ::testing::HasSubstr("-rw\n"));
}

TEST_P(QemuPaging, RegistersHaveTheSameNamesOrderAndWidths) {
  begin(GetParam(), "spin");
  const auto mine = lines_of(ours("info registers")), other = lines_of(theirs("info registers"));
  ASSERT_EQ(mine.size(), other.size());
  for (std::size_t i = 0; i < mine.size(); ++i)
    EXPECT_EQ(shape_of(mine[i]), shape_of(other[i]));
  // What does not depend on who loaded the guest.
  for (const char* start : {"EFER=", "FCW=", "DR6=", "XMM00=", "FPR0="}) {
    const auto line = [&](const std::vector<std::string>& lines) {
      for (const std::string& text : lines) {
        if (text.rfind(start, 0) == 0) return text;
      }
      return std::string();
    };
    EXPECT_EQ(line(mine), line(other));
    EXPECT_NE(line(mine), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, QemuPaging, ::testing::Values("paging64", "pae", "paging32"),
                         [](const auto& mode) { return std::string(mode.param); });

TEST_F(QemuLayout, PermissionsOfUserPages) {
  begin("pages", "user_loop");
  EXPECT_EQ(ours("info mem"), theirs("info mem"));
  EXPECT_THAT(ours("info mem"), ::testing::HasSubstr("urw\n"));
  EXPECT_THAT(ours("info mem"), ::testing::HasSubstr("ur-\n"));
}

TEST_F(QemuLayout, InterruptControllersCanBeReadInTheSameWay) {
  begin("interrupts", "sled");
  const char* line = "(active-hi|active-lo) (edge |level) (      |masked)";
  const std::string vector = std::string("\t 0x[0-9a-f]{8} ") + line +
                             " .{7} .{12} (Fixed |ExtINT|NMI   )( \\(vec \\d+\\))?";
  const std::string patterns[] = {
      "dumping local APIC state for CPU 0 ",
      "",
      "LVT0" + vector,
      "LVT1" + vector,
      "LVTPC" + vector,
      "LVTERR" + vector,
      "LVTTHMR" + vector,
      "LVTT" + vector,
      "Timer\t DCR=0xb \\(divide by 1\\) initial_count = 20000 current_count = \\d+",
      "SPIV\t 0x000001ff APIC enabled, focus=off, spurious vec 255",
      "ICR\t 0x[0-9a-f]{8} (physical|logical) (edge|level) (assert|de-assert) "
      "(no-shorthand|self|all-self|all)",
      "ICR2\t 0x[0-9a-f]{8}( cpu \\d+ \\(APIC ID\\))?",
      "ESR\t 0x[0-9a-f]{8}",
      "ISR\t (\\(none\\)|[0-9 ]+)",
      "IRR\t (\\(none\\)|[0-9 ]+)",
      "",
      "APR 0x[0-9a-f]{2} TPR 0x[0-9a-f]{2} DFR 0x0f LDR 0x[0-9a-f]{2} PPR 0x[0-9a-f]{2}"};
  for (const auto& lines : {lines_of(theirs("info lapic")), lines_of(ours("info lapic"))}) {
    ASSERT_GE(lines.size(), std::size(patterns));
    for (std::size_t i = 0; i < std::size(patterns); ++i)
      EXPECT_TRUE(std::regex_match(lines[i], std::regex(patterns[i]))) << lines[i];
  }
  const auto mine = lines_of(ours("info pic")), other = lines_of(theirs("info pic"));
  ASSERT_EQ(mine.size(), other.size());
  for (std::size_t i = 0; i < mine.size(); ++i)
    EXPECT_EQ(shape_of(mine[i]).substr(0, 60), shape_of(other[i]).substr(0, 60));
}

}  // namespace
}  // namespace ringside::testing
