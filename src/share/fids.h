// The numbers by which a guest names files that it has walked to. It chooses them itself, and how
// many: they are bounded, so that this process is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "share/messages.h"
#include "share/outcome.h"
#include "share/tree.h"

namespace ringside::share {

struct Fid {
  std::shared_ptr<const Object> object;
  bool is_open = false;          // then the object's descriptor is, as the guest has asked for
  std::uint32_t user = kNoUser;  // who has attached, as a number of the guest's
};

class Fids {
 public:
  static constexpr std::size_t kMost = std::size_t{1} << 17;

  // EBADF: there is none. The pointer is valid until that one is removed.
  Outcome<Fid*> find(std::uint32_t number) {
    const auto found = fids_.find(number);
    if (found == fids_.end()) return refuse(EBADF);
    return &found->second;
  }
  Outcome<Fid*> find_open(std::uint32_t number) {
    Fid* const fid = ATTEMPT(find(number));
    if (!fid->is_open) return refuse(EBADF);
    return fid;
  }
  // EINVAL: it is no number, or in use; ENFILE: there are too many.
  Outcome<> check_free(std::uint32_t number) const {
    if (number == kNoFid || fids_.contains(number)) return refuse(EINVAL);
    if (fids_.size() >= kMost) return refuse(ENFILE);
    return {};
  }
  void set(std::uint32_t number, Fid fid) { fids_[number] = std::move(fid); }
  Outcome<Fid> remove(std::uint32_t number) {
    const auto found = fids_.find(number);
    if (found == fids_.end()) return refuse(EBADF);
    Fid fid = std::move(found->second);
    fids_.erase(found);
    return fid;
  }
  void clear() { fids_.clear(); }

 private:
  // Numbers come from a guest, which could choose those that fall together in a table by hashes.
  std::map<std::uint32_t, Fid> fids_;
};

}  // namespace ringside::share
