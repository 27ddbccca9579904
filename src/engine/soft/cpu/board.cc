#include "engine/soft/cpu/board.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/soft/cpu/cpu.h"
#include "x86/linear_address.h"

namespace ringside::soft {

Board::Board(hypervisor::GuestRam& guest_ram, hypervisor::Platform& guest_platform)
    : ram(guest_ram), platform(guest_platform) {}

VirtualTime Board::now() const {
  if (running == nullptr) return {time_base};
  return {time_base + (running->icount - slice_start + surcharge) * kNanosecondsPerInstruction};
}

std::uint64_t Board::retired() const {
  std::uint64_t total = 0;
  for (const Cpu* cpu : cpus)
    total += cpu->icount;
  return total;
}

void Board::note_parts(std::uint64_t count) {
  const std::uint64_t total = retired();
  if (std::exchange(parts_at, total) != total) parts = 0;
  parts += count;
  parts_ever += count;
  if (running != nullptr) running->parts_ever += count;
}

void tell_flow(Cpu& cpu, hypervisor::FlowEvent& event) {
  Board& board = cpu.board();
  const x86::Segment& code = cpu.seg(x86::SegmentName::Cs);
  event.vcpu = cpu.id();
  event.new_cpl = static_cast<std::uint8_t>(cpu.cpl());
  event.to = {cpu.code64() ? cpu.rip() : x86::segmented_address(code.base, cpu.rip())};
  event.new_stack = cpu.rsp();
  event.cr3 = cpu.cr3;
  event.time = board.now();
  event.total = {board.retired()};
  board.flow_listener->flow(event);
}

Board::Verdict Board::judge(Cpu& cpu, const hypervisor::Exit& hit, HitIs when) {
  if (listener == nullptr && !cpu.has_events) return Verdict::GoOn;
  const bool is_own = listener != nullptr && listener->is_own(hit);
  if (!is_own && filter != nullptr && !filter->wants_stop(cpu.id(), hit)) {
    if (listener == nullptr || !filter->has_news()) return Verdict::GoOn;
  } else {
    if (listener == nullptr) return Verdict::Exit;
    const hypervisor::Progress before = when == HitIs::Next ? progress() : progress_before();
    if (listener->hit(cpu.id(), hit, before) == hypervisor::HitListener::Answer::GoOn)
      return Verdict::GoOn;
  }
  held = true;
  cpu.yield_soon();
  return Verdict::EndSlice;
}

hypervisor::Progress Board::progress() const {
  const std::uint64_t total = retired();
  return {{total}, total == parts_at ? parts : 0};
}

hypervisor::Progress Board::progress_before() const {
  const std::uint64_t total = retired();
  if (total == parts_at && parts > 0) return {{total}, parts - 1};
  return {{total - 1}, total - 1 == parts_at ? parts : 0};
}

bool Board::read_entry(Gpa address, void* out, unsigned size) const {
  const std::uint8_t* host = ram.host({address.value & a20_mask()}, size);
  if (host == nullptr) return false;
  std::memcpy(out, host, size);
  return true;
}

void Board::write_entry(Gpa address, const void* in, unsigned size) {
  const Gpa behind_gate{address.value & a20_mask()};
  const hypervisor::RamSlot* slot = ram.find(behind_gate, size);
  if (slot == nullptr || slot->read_only) return;
  ram_about_to_change(behind_gate, size);
  std::memcpy(slot->host + (behind_gate.value - slot->base.value), in, size);
  ram_written(behind_gate, size);
}

void Board::ram_written(Gpa address, std::uint64_t size) {
  // The running CPU may be inside a block that has just become stale.
  if (code.written(address, size) && running != nullptr) running->leave_soon();
}

void Board::watch_code_page(Gpa page) {
  for (Cpu* cpu : cpus)
    cpu->tlb().protect_page(page);
}

namespace {

bool any_in_page(const std::vector<Board::Watch>& watches, std::uint64_t page) {
  return std::any_of(watches.begin(), watches.end(), [&](const Board::Watch& watch) {
    return watch.address <= page + (kPageSize - 1) && page <= watch.address + (watch.size - 1);
  });
}

}  // namespace

bool Board::page_is_watched(std::uint64_t linear_page) const {
  return any_in_page(watches, linear_page);
}

bool Board::physical_page_is_watched(Gpa page) const {
  return any_in_page(physical_watches, page.value);
}

}  // namespace ringside::soft
