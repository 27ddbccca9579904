#include "x86/selector_load.h"

#include <fmt/format.h>

#include <algorithm>

#include "x86/linear_address.h"

namespace ringside::x86 {
namespace {

constexpr std::uint16_t kTableIndicator = 4, kAccessed = 1, kBusy = 2;
constexpr unsigned kWidestLinearAddress = 57;

constexpr bool is_null(std::uint16_t selector) { return (selector & ~3u) == 0; }
constexpr unsigned rpl_of(std::uint16_t selector) { return selector & 3u; }

tl::unexpected<Error> refuse(std::string why) {
  return fail(ErrorCode::BadRequest, std::move(why));
}

// What a null selector leaves. The privilege level counts for SS alone.
Segment null_segment(std::uint16_t selector, unsigned cpl = 0) {
  return {selector, static_cast<std::uint16_t>(cpl << 5), 0, 0};
}

void make_paragraph(CpuState& state, Segment& segment, std::uint16_t selector) {
  segment.selector = selector;
  segment.base = std::uint64_t{selector} << 4;
  // In real mode limit and rights stay, whatever they are (SDM 3A 9.9.2).
  if ((state.rflags & rflags::VM) == 0) return;
  segment.limit = 0xffff;
  segment.attributes = kAttributes8086;
}

// The descriptor at `offset` bytes into the selector's entry.
Result<std::uint64_t> read_entry(const CpuState& state, std::uint16_t selector, unsigned offset,
                                 DescriptorReader& tables) {
  std::uint64_t base = state.gdtr.base, limit = state.gdtr.limit;
  if ((selector & kTableIndicator) != 0) {
    if (state.ldtr.unusable()) return refuse("there is no local descriptor table");
    base = state.ldtr.base;
    limit = state.ldtr.limit;
  }
  const std::uint64_t first = (selector & ~7u) + offset;
  if (first + 7 > limit)
    return refuse(fmt::format("it lies beyond its table, whose limit is {:#x}", limit));
  std::uint64_t address = base + first;
  if (!in_long_mode(state)) address &= 0xffffffff;
  Result<std::uint64_t> entry = tables.read_descriptor(Gva{address});
  if (!entry)
    return fail(entry.error().code(),
                fmt::format("its descriptor cannot be read: {}", entry.error().text()));
  return entry;
}

Result<Segment> read_segment(const CpuState& state, std::uint16_t selector,
                             DescriptorReader& tables) {
  return segment_from_descriptor(selector, TRY(read_entry(state, selector, 0, tables)));
}

Result<void> check_level(unsigned level, unsigned wanted) {
  if (level == wanted) return {};
  return refuse(fmt::format("its descriptor is of privilege level {}, not {}", level, wanted));
}

Result<void> check_present(const Segment& segment) {
  if (segment.present()) return {};
  return refuse("its descriptor is not present");
}

Result<void> check_code(const CpuState& state, const Segment& code) {
  const unsigned level = rpl_of(code.selector);
  if (!code.is_code()) return refuse("its descriptor is no code segment");
  if (code.conforming()) {
    if (code.dpl() > level)
      return refuse(
          fmt::format("its descriptor is of privilege level {}, above {}", code.dpl(), level));
  } else {
    TRY(check_level(code.dpl(), level));
  }
  if (in_long_mode(state) && code.long_mode() && code.big())
    return refuse("its descriptor has both L and D set");
  return check_present(code);
}

Result<void> check_stack(const Segment& stack, unsigned cpl) {
  if (!stack.is_code_or_data() || !stack.writable())
    return refuse("its descriptor is no writable data segment");
  if (rpl_of(stack.selector) != cpl)
    return refuse(fmt::format("it asks for privilege level {}, the processor is at {}",
                              rpl_of(stack.selector), cpl));
  TRY(check_level(stack.dpl(), cpl));
  return check_present(stack);
}

Result<void> check_data(const Segment& data, unsigned cpl) {
  if (!data.is_code_or_data() || !data.readable())
    return refuse("its descriptor is no readable segment");
  const unsigned level = std::max(cpl, rpl_of(data.selector));
  if (!data.conforming() && data.dpl() < level)
    return refuse(
        fmt::format("its descriptor is of privilege level {}, below {}", data.dpl(), level));
  return check_present(data);
}

// In long mode with the high half of its base (SDM 3A 7.2.3).
Result<Segment> read_system_segment(const CpuState& state, std::uint16_t selector,
                                    DescriptorReader& tables) {
  if ((selector & kTableIndicator) != 0) return refuse("it must lie in the global table");
  Segment segment = TRY(read_segment(state, selector, tables));
  if (segment.is_code_or_data()) return refuse("its descriptor is no system segment");
  if (!in_long_mode(state)) return segment;
  const std::uint64_t high = TRY(read_entry(state, selector, 8, tables));
  segment.base |= high << 32;
  const auto shifted = static_cast<std::int64_t>(segment.base << (64 - kWidestLinearAddress));
  if (static_cast<std::uint64_t>(shifted >> (64 - kWidestLinearAddress)) != segment.base)
    return refuse(fmt::format("its base {:#x} is not canonical", segment.base));
  return segment;
}

}  // namespace

bool has_paragraphs(const CpuState& state) {
  return (state.cr0 & cr0::PE) == 0 || (state.rflags & rflags::VM) != 0;
}

unsigned privilege_level(const CpuState& state) {
  if ((state.cr0 & cr0::PE) == 0) return 0;
  return (state.rflags & rflags::VM) != 0 ? 3 : state.seg(SegmentName::Ss).dpl();
}

Result<void> load_selector(CpuState& state, SegmentName name, std::uint16_t selector, unsigned cpl,
                           DescriptorReader& tables) {
  Segment& segment = state.seg(name);
  if (has_paragraphs(state)) {
    make_paragraph(state, segment, selector);
    return {};
  }
  if (is_null(selector)) {
    const bool code64 = in_64_bit_mode(state);
    if (name == SegmentName::Cs) return refuse("a null selector is no code segment");
    // Only 64-bit code below ring 3 may do without a stack segment (SDM 3A 5.4.1.1).
    if (name == SegmentName::Ss && (!code64 || cpl == 3 || rpl_of(selector) != cpl))
      return refuse("a null selector is a stack segment only for 64-bit code below ring 3");
    segment = null_segment(selector, name == SegmentName::Ss ? cpl : 0);
    return {};
  }
  Segment loaded = TRY(read_segment(state, selector, tables));
  switch (name) {
    case SegmentName::Cs:
      TRY(check_code(state, loaded));
      break;
    case SegmentName::Ss:
      TRY(check_stack(loaded, cpl));
      break;
    default:
      TRY(check_data(loaded, cpl));
      break;
  }
  loaded.attributes |= kAccessed;
  segment = loaded;
  return {};
}

Result<void> load_local_table(CpuState& state, std::uint16_t selector, DescriptorReader& tables) {
  if (has_paragraphs(state)) return refuse("there is no local descriptor table in this mode");
  if (is_null(selector)) {
    state.ldtr = null_segment(selector);
    return {};
  }
  const Segment loaded = TRY(read_system_segment(state, selector, tables));
  if (loaded.type() != system_type::kLdt)
    return refuse("its descriptor is no local descriptor table");
  TRY(check_present(loaded));
  state.ldtr = loaded;
  return {};
}

Result<void> load_task(CpuState& state, std::uint16_t selector, DescriptorReader& tables) {
  if (has_paragraphs(state)) return refuse("there is no task register in this mode");
  if (is_null(selector)) return refuse("a null selector is no task");
  Segment loaded = TRY(read_system_segment(state, selector, tables));
  const unsigned available = loaded.type() & ~unsigned{kBusy};
  const bool narrow = available == system_type::kTss16;
  if (available != system_type::kTss && (!narrow || in_long_mode(state)))
    return refuse("its descriptor is no task-state segment");
  TRY(check_present(loaded));
  loaded.attributes |= kBusy;
  state.tr = loaded;
  return {};
}

void make_paragraphs(CpuState& state) {
  for (Segment& segment : state.segment)
    make_paragraph(state, segment, segment.selector);
}

}  // namespace ringside::x86
