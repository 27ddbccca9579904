#include "profile/call_chain.h"

#include <cstring>
#include <optional>

#include "profile/linear_reader.h"
#include "x86/linear_address.h"

namespace ringside::profile {
namespace {

// How far a caller's frame may be, in bytes: for a frame pointer, and for a search.
constexpr std::uint64_t kLargestFrame = 1 << 20;
constexpr std::uint64_t kLongestSearch = 4096;
// A call of this very function is preferred to one whose target is not to be seen if it is so near.
constexpr std::uint64_t kPreferred = 512;

class Walk {
 public:
  Walk(LinearReader memory, const x86::CpuState& state, GuestCode& code)
      : memory_(memory),
        code_(code),
        is_64_bit_(x86::in_64_bit_mode(state)),
        word_(is_64_bit_ ? 8 : 4),
        base_(is_64_bit_ ? 0 : state.seg(x86::SegmentName::Cs).base),
        pc_(x86::linear_pc(state)),
        stack_(linear(state, state.reg(x86::Gpr::Rsp))),
        frame_(linear(state, state.reg(x86::Gpr::Rbp))) {}

  std::vector<ChainFrame> chain() {
    std::vector<ChainFrame> frames{{pc_, ChainFrame::By::Rip}};
    while (frames.size() < kMostFrames) {
      note_function(frames.size() == 1 ? frames.back().address : frames.back().address - 1);
      const auto by_frame = caller_by_frame();
      const auto caller = by_frame ? by_frame : caller_by_search();
      if (!caller) break;
      frames.push_back({*caller, by_frame ? ChainFrame::By::FramePointer : ChainFrame::By::Guess});
    }
    return frames;
  }

 private:
  enum class Call : std::uint8_t {
    None,    // there is no CALL before this address, or none of a known function
    Other,   // of another function, which may have gone on to ours by a jump
    Unseen,  // through a register or memory
    Ours,
  };

  Gva linear(const x86::CpuState& state, std::uint64_t offset) const {
    if (is_64_bit_) return Gva{offset};
    return Gva{x86::segmented_address(state.seg(x86::SegmentName::Ss).base, offset)};
  }

  void note_function(Gva at) {
    is_known_ = code_.is_known_code(at);
    const auto place = is_known_ ? code_.place_of(at) : std::nullopt;
    function_ = place ? std::optional(place->start) : std::nullopt;
  }

  // What is before `address`: a CALL near, to a constant (E8) or through a register or memory (FF
  // /2); SDM 2A, CALL.
  Call call_before(Gva address) {
    if (is_known_ && !code_.is_known_code(address)) return Call::None;
    std::uint8_t bytes[7];
    if (address.value < sizeof bytes ||
        !memory_.read(address - sizeof bytes, std::as_writable_bytes(std::span(bytes))))
      return Call::None;
    if (bytes[2] == 0xe8) {
      std::int32_t distance = 0;
      std::memcpy(&distance, bytes + 3, sizeof distance);
      const Gva target = address + static_cast<std::uint64_t>(std::int64_t{distance});
      if (!function_) return Call::Unseen;
      if (target == *function_) return Call::Ours;
      if (is_through_register(target)) return Call::Unseen;
      return code_.is_known_code(target) ? Call::Other : Call::None;
    }
    for (unsigned at = 0; at + 2 <= sizeof bytes; ++at)
      if (bytes[at] == 0xff && (bytes[at + 1] >> 3 & 7) == 2) return Call::Unseen;
    return Call::None;
  }

  // Compilers call through functions of these names where a processor must not predict.
  bool is_through_register(Gva target) {
    const auto place = code_.place_of(target);
    return place && place->name.starts_with("__x86_indirect_");
  }

  std::optional<Gva> return_address(Gva at) {
    const auto value = memory_.number(at, word_);
    if (!value) return std::nullopt;
    return Gva{*value + base_};
  }

  std::optional<Gva> caller_by_frame() {
    const std::uint64_t distance = frame_.value - stack_.value;
    if (distance >= kLargestFrame || frame_.value % word_ != 0) return std::nullopt;
    const auto next = memory_.number(frame_, word_);
    const auto caller = return_address(frame_ + word_);
    if (!next || !caller) return std::nullopt;
    const Call call = call_before(*caller);
    if (call != Call::Ours && call != Call::Unseen) return std::nullopt;
    stack_ = frame_ + 2 * word_;
    frame_ = Gva{*next};
    return caller;
  }

  std::optional<Gva> caller_by_search() {
    const auto end = code_.stack_end(stack_);
    if (!is_known_ || !end) return std::nullopt;
    struct Found {
      Gva caller, at;
    };
    std::optional<Found> unseen, other, ours;
    for (std::uint64_t offset = 0; offset < kLongestSearch && stack_ + offset < *end;
         offset += word_) {
      if (offset >= kPreferred && (unseen || other)) break;
      const auto caller = return_address(stack_ + offset);
      if (!caller) break;
      const Found found{*caller, stack_ + offset};
      switch (call_before(*caller)) {
        case Call::None:
          continue;
        case Call::Other:
          if (!other) other = found;
          continue;
        case Call::Unseen:
          if (!unseen) unseen = found;
          continue;
        case Call::Ours:
          ours = found;
      }
      break;
    }
    const auto& best = ours ? ours : unseen ? unseen : other;
    if (!best) return std::nullopt;
    stack_ = best->at + word_;
    return best->caller;
  }

  LinearReader memory_;
  GuestCode& code_;
  bool is_64_bit_;
  unsigned word_;
  std::uint64_t base_;  // of the code segment
  Gva pc_, stack_, frame_;
  bool is_known_ = false;
  std::optional<Gva> function_;  // that is looked for a caller of
};

}  // namespace

std::vector<ChainFrame> call_chain(hypervisor::Vm& vm, VcpuId vcpu, const x86::CpuState& state,
                                   GuestCode& code) {
  const auto memory = LinearReader::of(vm, vcpu);
  // 16-bit code keeps no such frames.
  const bool has_frames = x86::in_64_bit_mode(state) || state.seg(x86::SegmentName::Cs).big();
  if (!memory || !has_frames) return {{x86::linear_pc(state), ChainFrame::By::Rip}};
  return Walk(*memory, state, code).chain();
}

}  // namespace ringside::profile
