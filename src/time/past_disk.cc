#include "time/past_disk.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ringside::time {

void PastDisk::enter_present() {
  in_past_ = false;
  over_.clear();
}

bool PastDisk::write_back() {
  for (const auto& [sector, content] : over_) {
    if (!image_->write(sector * kSector, content)) return false;
  }
  return flush_all(*image_);
}

void PastDisk::exchange(std::uint64_t sector, Sector& content) {
  Sector seen{};
  // What cannot be read now could not be when it was kept, and is of no use to the guest.
  (void)read(sector * kSector, seen);
  over_[sector] = std::exchange(content, seen);
}

bool PastDisk::read(std::uint64_t offset, std::span<std::byte> out) {
  if (!image_->read(offset, out)) return false;
  const std::uint64_t end = offset + out.size();
  for (auto found = over_.lower_bound(offset / kSector);
       found != over_.end() && found->first * kSector < end; ++found) {
    const std::uint64_t start = found->first * kSector;
    const std::uint64_t from = std::max(start, offset), to = std::min(start + kSector, end);
    if (from >= to) continue;
    std::memcpy(out.data() + (from - offset), found->second.data() + (from - start), to - from);
  }
  return true;
}

// What cannot be read was never seen by the guest.
void PastDisk::keep(std::uint64_t offset, std::uint64_t size) {
  if (keeper_ == nullptr) return;
  for (std::uint64_t sector = offset / kSector; sector * kSector < offset + size; ++sector) {
    if (!kept_.insert(sector).second) continue;
    Sector content{};
    if (read(sector * kSector, content)) keeper_->keep(number_, sector, content);
  }
}

bool PastDisk::write(std::uint64_t offset, std::span<const std::byte> data) {
  keep(offset, data.size());
  if (!in_past_) return image_->write(offset, data);
  for (std::uint64_t done = 0; done < data.size();) {
    const std::uint64_t at = offset + done, sector = at / kSector, start = at % kSector;
    const std::uint64_t part = std::min<std::uint64_t>(kSector - start, data.size() - done);
    Sector content{};
    if (part != kSector && !read(sector * kSector, content)) return false;
    std::memcpy(content.data() + start, data.data() + done, part);
    over_[sector] = content;
    done += part;
  }
  return true;
}

}  // namespace ringside::time
