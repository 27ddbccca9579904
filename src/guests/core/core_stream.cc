#include "guests/core/core_stream.h"

#include <algorithm>
#include <utility>

#include "guests/core/core_headers.h"

namespace ringside::guests {
namespace {

// A slice brings about so much.
constexpr std::uint64_t kSlice = 1u << 20;

template <typename T>
void append(std::vector<std::byte>& out, std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

CoreStream::CoreStream(CoreSubject subject) : subject_(std::move(subject)), search_(subject_.vm) {}

Result<std::unique_ptr<CoreStream>> CoreStream::begin(CoreSubject subject,
                                                      std::optional<PhysicalRange> range) {
  std::unique_ptr<CoreStream> made(new CoreStream(std::move(subject)));
  hypervisor::Vm& vm = made->subject_.vm;
  for (hypervisor::MemoryRegion region : vm.memory().regions()) {
    if (range) {
      // The last byte, because a range may end where numbers do.
      const std::uint64_t last = region.base.value + region.size - 1;
      const std::uint64_t wanted =
          range->begin.value + std::min(range->length - 1, ~range->begin.value);
      const std::uint64_t from = std::max(region.base.value, range->begin.value);
      const std::uint64_t to = std::min(last, wanted);
      if (from > to) continue;
      region.base = Gpa{from};
      region.size = to - from + 1;
    }
    made->regions_.push_back(region);
    made->total_ += region.size;
  }
  if (made->regions_.empty()) return fail(ErrorCode::BadRequest, "dump: no guest memory to dump");
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i)
    made->vcpus_.push_back({{i}, TRY(vm.vcpu({i}).state())});
  return made;
}

Result<bool> CoreStream::advance(std::vector<std::byte>& out) {
  if (!has_headers_) {
    if (!search_.advance()) return false;
    append_headers(out);
    has_headers_ = true;
  }
  TRY(append_memory(out));
  return region_ == regions_.size();
}

void CoreStream::append_headers(std::vector<std::byte>& out) {
  const std::vector<std::byte> notes = core_notes(vcpus_, search_.text());
  const std::size_t count = 1 + regions_.size();
  const Elf64_Ehdr header = core_header(count);
  std::uint64_t at = sizeof header + count * sizeof(Elf64_Phdr);
  std::vector<Elf64_Phdr> table{core_notes_header(at, notes.size())};
  at += notes.size();
  for (const hypervisor::MemoryRegion& region : regions_) {
    table.push_back(core_segment_header(Gva{}, region.base, region.size, at));
    at += region.size;
  }
  append(out, std::span(&header, 1));
  append(out, std::span<const Elf64_Phdr>(table));
  append(out, std::span<const std::byte>(notes));
}

Result<void> CoreStream::append_memory(std::vector<std::byte>& out) {
  hypervisor::Memory& memory = subject_.vm.memory();
  for (std::uint64_t budget = kSlice; budget != 0 && region_ < regions_.size();) {
    const hypervisor::MemoryRegion& region = regions_[region_];
    const Gpa where = region.base + offset_;
    const std::uint64_t size = std::min(budget, region.size - offset_);
    const std::span<const std::byte> shown = memory.view(where, size);
    const std::size_t before = out.size();
    if (shown.empty()) {
      out.resize(before + std::min(size, kPageSize - (where.value & ~kPageMask)));
      TRY(memory.read_ram(where, std::span(out).subspan(before)));
    } else {
      append(out, shown);
    }
    const std::span<std::byte> added = std::span(out).subspan(before);
    if (subject_.hide) subject_.hide(where, added);
    offset_ += added.size();
    done_ += added.size();
    budget -= added.size();
    if (offset_ < region.size) continue;
    ++region_;
    offset_ = 0;
  }
  return {};
}

}  // namespace ringside::guests
