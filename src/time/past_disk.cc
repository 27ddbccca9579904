#include "time/past_disk.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace ringside::time {

using machine::read_all;

void PastDisk::enter_present() {
  in_past_ = false;
  over_.clear();
}

// A file always answers.
template <typename Call>
bool PastDisk::in_time(std::chrono::milliseconds patience, const Call& call) const {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + patience;
  Outcome outcome = call();
  while (outcome == Outcome::UnderWay && (!is_remote() || Clock::now() < end))
    outcome = call();
  return outcome == Outcome::Done;
}

bool PastDisk::write_back(std::chrono::milliseconds patience) {
  for (const auto& [number, content] : over_) {
    const auto write = [&, sector = number, bytes = std::span(content)] {
      return image_->write(sector * kSector, bytes);
    };
    if (!in_time(patience, write)) return false;
  }
  return in_time(patience, [&] { return image_->flush(); });
}

void PastDisk::exchange(std::uint64_t sector, std::optional<Sector>& content) {
  std::optional<Sector> seen;
  if (const auto found = over_.find(sector); found != over_.end()) seen = found->second;
  if (content) {
    over_[sector] = *content;
  } else {
    over_.erase(sector);
  }
  content = seen;
}

PastDisk::Outcome PastDisk::read(std::uint64_t offset, std::span<std::byte> out) {
  const Outcome outcome = image_->read(offset, out);
  if (outcome != Outcome::Done) return outcome;
  const std::uint64_t end = offset + out.size();
  for (auto found = over_.lower_bound(offset / kSector);
       found != over_.end() && found->first * kSector < end; ++found) {
    const std::uint64_t start = found->first * kSector;
    const std::uint64_t from = std::max(start, offset), to = std::min(start + kSector, end);
    if (from >= to) continue;
    std::memcpy(out.data() + (from - offset), found->second.data() + (from - start), to - from);
  }
  return Outcome::Done;
}

bool PastDisk::is_covered(std::uint64_t offset, std::uint64_t size) const {
  const auto found = over_.lower_bound(offset / kSector);
  return found != over_.end() && found->first * kSector < offset + size;
}

std::uint64_t PastDisk::read_pieces(std::uint64_t offset, PiecesToFill pieces) {
  return is_covered(offset, machine::size_of_all(pieces))
             ? BlockBackend::read_pieces(offset, pieces)
             : image_->read_pieces(offset, pieces);
}

// With one call, which can be under way, from the first sector to the last that are not kept yet.
PastDisk::Outcome PastDisk::keep(std::uint64_t offset, std::uint64_t size) {
  if (keeper_ == nullptr) return Outcome::Done;
  std::uint64_t first = offset / kSector, end = (offset + size + kSector - 1) / kSector;
  while (first < end && kept_.count(first) != 0)
    ++first;
  while (first < end && kept_.count(end - 1) != 0)
    --end;
  if (first == end) return Outcome::Done;
  std::vector<std::byte> content((end - first) * kSector);
  const Outcome outcome = read(first * kSector, content);
  if (outcome == Outcome::UnderWay) return outcome;
  // A server may have it again later, when nobody knows any more what it was.
  if (outcome == Outcome::Failed && is_remote()) return outcome;
  for (std::uint64_t sector = first; sector < end; ++sector) {
    if (!kept_.insert(sector).second) continue;
    Sector one{};
    const auto part = std::span(content).subspan((sector - first) * kSector, kSector);
    std::copy(part.begin(), part.end(), one.begin());
    // What cannot be read was never seen by the guest.
    if (outcome == Outcome::Done || read_all(*this, sector * kSector, one))
      keeper_->keep(number_, sector, one);
  }
  return Outcome::Done;
}

PastDisk::Outcome PastDisk::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (const Outcome kept = keep(offset, data.size()); kept != Outcome::Done) return kept;
  if (!in_past_) return image_->write(offset, data);
  for (std::uint64_t done = 0; done < data.size();) {
    const std::uint64_t at = offset + done, sector = at / kSector, start = at % kSector;
    const std::uint64_t part = std::min<std::uint64_t>(kSector - start, data.size() - done);
    Sector content{};
    if (part != kSector && !read_all(*this, sector * kSector, content)) return Outcome::Failed;
    std::memcpy(content.data() + start, data.data() + done, part);
    over_[sector] = content;
    done += part;
  }
  return Outcome::Done;
}

std::uint64_t PastDisk::write_pieces(std::uint64_t offset, PiecesOfData pieces) {
  if (in_past_) return BlockBackend::write_pieces(offset, pieces);
  if (keep(offset, machine::size_of_all(pieces)) != Outcome::Done) return 0;
  return image_->write_pieces(offset, pieces);
}

}  // namespace ringside::time
