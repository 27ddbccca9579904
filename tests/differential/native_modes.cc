#include "differential/native_modes.h"

#include <asm/ldt.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "differential/native_cpu.h"
#include "differential/native_entry.h"

namespace ringside::differential {
namespace {

// Entries of the local descriptor table, and their selectors at privilege 3.
enum LdtEntry : unsigned { kCode16, kData16, kCode32 };
constexpr std::uint16_t ldt_selector(LdtEntry entry) {
  return static_cast<std::uint16_t>(entry << 3 | 7);
}
// Linux' 32-bit code segment. Kernels without 32-bit emulation may lack it.
constexpr std::uint16_t kGdtCode32 = 0x23;

constexpr unsigned kTrials = 1000;
constexpr unsigned kTrialSeconds = 20;  // far beyond what they take: then a child hangs

bool make_ldt(LdtEntry entry) {
  user_desc segment{};
  segment.entry_number = entry;
  switch (entry) {
    case kCode16:
      segment.base_addr = static_cast<unsigned>(kCodePage);
      segment.limit = 0xffff;
      segment.contents = MODIFY_LDT_CONTENTS_CODE;
      break;
    case kData16:
      segment.base_addr = static_cast<unsigned>(kBase16);
      segment.limit = 0xffff;
      segment.contents = MODIFY_LDT_CONTENTS_DATA;
      break;
    case kCode32:
      segment.limit = 0xfffff;
      segment.limit_in_pages = 1;
      segment.seg_32bit = 1;
      segment.contents = MODIFY_LDT_CONTENTS_CODE;
      break;
  }
  return syscall(SYS_modify_ldt, 1, &segment, sizeof segment) == 0;
}

// What must hold for the comparison to make sense: registers arrive and come back, and the stack is
// the mode's. Empty, or what does not.
std::string try_out(Mode mode, const CodeSegments& segments) {
  const std::uint64_t mask = mode == Mode::Code16 ? 0xffff : 0xffffffff;
  const std::uint64_t top = kData + kDataSize / 2 - data_base(mode);
  Case push;  // push ax; push eax
  push.mode = mode;
  push.bytes = {0x50};
  push.state.rip = kCode - code_base(mode);
  const std::size_t width = mode == Mode::Code16 ? 2 : 4;
  for (unsigned trial = 0; trial < kTrials; ++trial) {
    for (unsigned i = 0; i < 8; ++i)
      push.state.gpr[i] = (0x1000193u * (trial * 8 + i + 1)) & mask;
    push.state.gpr[4] = top;
    const Outcome outcome = run_in_segments(push, segments);
    if (outcome.fault) {
      return fmt::format("exception {}", outcome.fault->vector);
    }
    for (unsigned i = 0; i < 8; ++i) {
      const std::uint64_t expected = push.state.gpr[i] - (i == 4 ? width : 0);
      if ((outcome.state.gpr[i] & mask) != expected) {
        return fmt::format("register {} is {:#x}, not {:#x}", i, outcome.state.gpr[i], expected);
      }
    }
    std::uint64_t pushed = 0;
    std::memcpy(&pushed, reinterpret_cast<const void*>(data_base(mode) + top - width), width);
    if (pushed != push.state.gpr[0]) return "a push does not arrive in memory";
    if (outcome.state.rip != push.state.rip + 1) return "the instruction pointer is wrong";
  }
  return "";
}

// The same in a child process, which a kernel may end or hold up: the test itself goes on.
std::string try_out_apart(Mode mode, const CodeSegments& segments) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child < 0) return "no child process";
  if (child == 0) {
    ::alarm(kTrialSeconds);
    std::string result;
    try {
      result = try_out(mode, segments);
    } catch (const std::runtime_error& error) {
      result = error.what();
    }
    const auto size = static_cast<ssize_t>(result.size());
    ::_exit(::write(ends[1], result.data(), result.size()) == size ? 0 : 1);
  }
  ::close(ends[1]);
  std::string result;
  std::array<char, 512> buffer;
  for (ssize_t got = 0; (got = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
    result.append(buffer.data(), static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status))
    return fmt::format("the kernel ends it with signal {}", WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? result : "the child process fails";
}

CodeSegments find_segments(Mode mode) {
  if (mode == Mode::Code64) return {kUserCode64, kUserData, std::nullopt};
  std::vector<CodeSegments> candidates;
  if (mode == Mode::Code16) {
    if (make_ldt(kCode16) && make_ldt(kData16)) {
      candidates.push_back({ldt_selector(kCode16), ldt_selector(kData16), std::nullopt});
    }
  } else {
    if (make_ldt(kCode32)) candidates.push_back({ldt_selector(kCode32), kUserData, std::nullopt});
    candidates.push_back({kGdtCode32, kUserData, std::nullopt});
  }
  std::string why = "modify_ldt gives no segment";
  for (CodeSegments& candidate : candidates) {
    why = try_out_apart(mode, candidate);
    if (why.empty()) return candidate;
  }
  return {0, 0, fmt::format("the host's kernel runs no {} code: {}", name(mode), why)};
}

}  // namespace

const CodeSegments& code_segments(Mode mode) {
  static std::array<std::optional<CodeSegments>, 3> found;
  auto& segments = found[static_cast<std::size_t>(mode)];
  if (!segments) segments = find_segments(mode);
  return *segments;
}

}  // namespace ringside::differential
