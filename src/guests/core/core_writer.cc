#include "guests/core/core_writer.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "guests/core/core_headers.h"

namespace ringside::guests {
namespace {

using hypervisor::MemoryRegion;

// A slice writes about so much.
constexpr std::uint64_t kSlice = 2u << 20, kPiece = 1u << 20;

bool is_zero(std::span<const std::byte> page) {
  static constexpr std::array<std::byte, kPageSize> kZeros{};
  return std::memcmp(page.data(), kZeros.data(), page.size()) == 0;
}

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::uint64_t whole_pages(std::uint64_t size) { return (size + kPageSize - 1) & kPageMask; }

}  // namespace

CoreWriter::CoreWriter(CoreSubject subject, WholeFile file)
    : subject_(std::move(subject)),
      file_(std::move(file)),
      search_(subject_.vm),
      linear_(subject_.vm, subject_.first) {
  for (const MemoryRegion& region : subject_.vm.memory().regions()) {
    regions_.push_back({region, 0});
    total_ += region.size;
  }
}

Result<std::unique_ptr<CoreWriter>> CoreWriter::begin(CoreSubject subject, WholeFile file) {
  std::unique_ptr<CoreWriter> writer(new CoreWriter(std::move(subject), std::move(file)));
  if (writer->regions_.empty())
    return fail(ErrorCode::NotSupported, "this machine cannot list its memory");
  TRY(writer->take_registers());
  return writer;
}

Result<void> CoreWriter::take_registers() {
  for (std::uint32_t i = 0; i < subject_.vm.vcpu_count(); ++i)
    vcpus_.push_back({{i}, TRY(subject_.vm.vcpu({i}).state())});
  return {};
}

Result<bool> CoreWriter::advance() {
  switch (phase_) {
    case Phase::Search:
      if (!search_.advance()) break;
      if (const auto table = kernels_page_table(search_.text())) linear_.add_table(*table);
      phase_ = Phase::Map;
      break;
    case Phase::Map:
      if (!linear_.advance()) break;
      segments_ = linear_.take();
      plan_file();
      phase_ = Phase::Memory;
      break;
    case Phase::Memory:
      TRY(write_memory());
      if (region_ < regions_.size()) break;
      TRY(write_headers());
      TRY(file_.finish());
      phase_ = Phase::Over;
      break;
    case Phase::Over:
      break;
  }
  return phase_ == Phase::Over;
}

// Headers and notes come first, because crash reads no more than what is before the first segment.
void CoreWriter::plan_file() {
  notes_ = core_notes(vcpus_, search_.text());
  const std::size_t headers = 1 + regions_.size() + segments_.size();
  size_ = whole_pages(sizeof(Elf64_Ehdr) + headers * sizeof(Elf64_Phdr) + notes_.size());
  for (Region& region : regions_) {
    region.at = size_;
    size_ += region.memory.size;
  }
}

Result<void> CoreWriter::write_memory() {
  hypervisor::Memory& memory = subject_.vm.memory();
  std::vector<std::byte> copy;
  for (std::uint64_t budget = kSlice; budget != 0 && region_ < regions_.size();) {
    const Region& region = regions_[region_];
    const Gpa where = region.memory.base + offset_;
    const std::uint64_t size = std::min(kPiece, region.memory.size - offset_);
    std::span<const std::byte> shown = memory.view(where, size);
    if (shown.empty()) {
      copy.resize(std::min(kPageSize, size));
      TRY(memory.read_ram(where, copy));
      shown = copy;
    }
    TRY(write_pages(where, region.at + offset_, shown));
    offset_ += shown.size();
    done_ += shown.size();
    budget -= std::min<std::uint64_t>(budget, shown.size());
    if (offset_ < region.memory.size) continue;
    ++region_;
    offset_ = 0;
  }
  return {};
}

// Pages of zeros are left out: a hole in the file reads as zeros.
Result<void> CoreWriter::write_pages(Gpa where, std::uint64_t at,
                                     std::span<const std::byte> memory) {
  const auto page = [memory](std::size_t from) {
    return memory.subspan(from, std::min<std::size_t>(kPageSize, memory.size() - from));
  };
  for (std::size_t from = 0; from < memory.size();) {
    if (is_zero(page(from))) {
      from += kPageSize;
      continue;
    }
    std::size_t to = from;
    while (to < memory.size() && !is_zero(page(to)))
      to += page(to).size();
    std::span<const std::byte> run = memory.subspan(from, to - from);
    std::vector<std::byte> clean;
    if (subject_.hide) {
      clean.assign(run.begin(), run.end());
      subject_.hide(where + from, clean);
      run = clean;
    }
    TRY(file_.write_at(at + from, run));
    written_ += run.size();
    from = to;
  }
  return {};
}

std::uint64_t CoreWriter::place_of(Gpa where) const {
  const auto region = std::ranges::find_if(regions_, [where](const Region& one) {
    return where.value - one.memory.base.value < one.memory.size;
  });
  return region->at + (where.value - region->memory.base.value);
}

Result<void> CoreWriter::write_headers() {
  const std::size_t count = 1 + regions_.size() + segments_.size();
  static_assert(LinearSegments::kMostSegments + 1'000 < PN_XNUM);
  const Elf64_Ehdr header = core_header(count);
  std::vector<Elf64_Phdr> table;
  table.reserve(count);
  const Elf64_Phdr notes =
      core_notes_header(sizeof header + count * sizeof(Elf64_Phdr), notes_.size());
  table.push_back(notes);
  for (const Region& region : regions_) {
    const MemoryRegion& memory = region.memory;
    table.push_back(core_segment_header(kPhysicalInCore + memory.base.value, memory.base,
                                        memory.size, region.at));
  }
  for (const LinearSegment& segment : segments_)
    table.push_back(
        core_segment_header(segment.address, segment.where, segment.size, place_of(segment.where)));
  TRY(file_.write_at(0, bytes_of(header)));
  TRY(file_.write_at(sizeof header, std::as_bytes(std::span(table))));
  TRY(file_.write_at(notes.p_offset, notes_));
  return file_.set_size(size_);
}

std::string CoreWriter::words() const {
  std::string words;
  switch (search_.origin()) {
    case VmcoreinfoOrigin::Kernels:
      words = "with the kernel's VMCOREINFO";
      break;
    case VmcoreinfoOrigin::Inferred:
      words = "with a VMCOREINFO made of page tables, because the kernel has none yet";
      break;
    case VmcoreinfoOrigin::None:
      words = "without VMCOREINFO, because no Linux kernel was found";
      break;
  }
  if (linear_.cut_off()) words += "; some linear addresses are left out";
  return words;
}

}  // namespace ringside::guests
