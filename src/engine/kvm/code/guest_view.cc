#include "engine/kvm/code/guest_view.h"

#include <algorithm>

#include "platform/shared_copy.h"

namespace ringside::kvm {
namespace {

class EntryReader final : public x86::PhysicalReader {
 public:
  explicit EntryReader(hypervisor::GuestRam& ram) : ram_(ram) {}
  bool read_entry(Gpa address, unsigned size, std::uint64_t& value) override {
    const std::uint8_t* host = ram_.host(address, size);
    if (host == nullptr) return false;
    hypervisor::copy_from_shared(std::as_writable_bytes(std::span(&value, 1)).first(size), host);
    return true;
  }

 private:
  hypervisor::GuestRam& ram_;
};

}  // namespace

std::optional<Gpa> GuestView::translate(Gva address) const {
  const std::uint64_t page = address.value & kPageMask;
  Page& known = known_[(page / kPageSize) % known_.size()];
  if (known.linear == page) return Gpa{known.physical + (address.value - page)};
  EntryReader reader(ram_);
  const x86::PageWalk found = x86::walk(paging_, address, reader);
  if (found.outcome != x86::PageWalk::Outcome::Mapped) return std::nullopt;
  known = {page, found.gpa.value - (address.value - page)};
  return found.gpa;
}

std::uint8_t* GuestView::byte(Gva address) const {
  const std::optional<Gpa> gpa = translate(address);
  return gpa ? ram_.host(*gpa, 1) : nullptr;
}

std::size_t GuestView::read(Gva address, std::span<std::uint8_t> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const Gva at = address + done;
    const std::size_t part =
        std::min<std::size_t>(out.size() - done, kPageSize - (at.value & ~kPageMask));
    const std::optional<Gpa> gpa = translate(at);
    const std::uint8_t* host = gpa ? ram_.host(*gpa, part) : nullptr;
    if (host == nullptr) break;
    hypervisor::copy_from_shared(std::as_writable_bytes(out.subspan(done, part)), host);
    done += part;
  }
  return done;
}

}  // namespace ringside::kvm
