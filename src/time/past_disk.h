// A disk whose image has the present's content at every moment, also while the machine is in its
// past: there the guest sees, and changes, sectors that lie over the image. Main thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_set>

#include "machine/storage/block_backend.h"

namespace ringside::time {

inline constexpr std::size_t kSector = 512;
using Sector = std::array<std::byte, kSector>;

// Keeps what a disk had. Called before a sector changes, at most once in an interval.
class SectorKeeper {
 public:
  virtual ~SectorKeeper() = default;
  virtual void keep(unsigned disk, std::uint64_t sector, const Sector& content) = 0;
};

class PastDisk final : public machine::BlockBackend {
 public:
  // `number` is what the keeper is told. The keeper may be null: nobody is told then.
  PastDisk(std::shared_ptr<machine::BlockBackend> image, unsigned number)
      : image_(std::move(image)), number_(number) {}

  void tell(SectorKeeper* keeper) { keeper_ = keeper; }
  void begin_interval() { kept_.clear(); }
  // In the past nothing reaches the image. Back in the present the guest sees the image again.
  void enter_past() { in_past_ = true; }
  void enter_present();
  // In the past: the guest sees something else than what the image has.
  bool differs_from_image() const { return !over_.empty(); }
  // The past becomes the present: the image gets what lies over it. False: it cannot be written, or
  // a server has not answered for so long; everybody waits meanwhile.
  [[nodiscard]] bool write_back(std::chrono::milliseconds patience = std::chrono::seconds(5));
  // The sector as the guest sees it becomes `content`, which becomes what it was. Nothing: what the
  // image has, which stays as it is meanwhile and is not asked for it. In the past.
  void exchange(std::uint64_t sector, std::optional<Sector>& content);

  std::uint64_t size() const override { return image_->size(); }
  bool read_only() const override { return image_->read_only(); }
  bool is_remote() const override { return image_->is_remote(); }
  bool is_gone() const override { return image_->is_gone(); }
  Outcome read(std::uint64_t offset, std::span<std::byte> out) override;
  Outcome write(std::uint64_t offset, std::span<const std::byte> data) override;
  std::uint64_t read_pieces(std::uint64_t offset, PiecesToFill pieces) override;
  std::uint64_t write_pieces(std::uint64_t offset, PiecesOfData pieces) override;
  std::uint64_t after_hole(std::uint64_t offset) const override {
    return over_.empty() ? image_->after_hole(offset) : offset;
  }
  Outcome flush() override { return in_past_ ? Outcome::Done : image_->flush(); }

 private:
  template <typename Call>
  bool in_time(std::chrono::milliseconds patience, const Call& call) const;
  Outcome keep(std::uint64_t offset, std::uint64_t size);
  // Something lies over the image there.
  bool is_covered(std::uint64_t offset, std::uint64_t size) const;

  std::shared_ptr<machine::BlockBackend> image_;
  const unsigned number_;
  SectorKeeper* keeper_ = nullptr;
  bool in_past_ = false;
  std::unordered_set<std::uint64_t> kept_;  // in this interval
  std::map<std::uint64_t, Sector> over_;    // what lies over the image, by sector
};

}  // namespace ringside::time
