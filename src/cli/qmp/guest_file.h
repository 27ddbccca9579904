// A file that is made of the guest while it stands, a slice at a time: a core, or a part of its
// memory. It goes into the directory of --files, or into a descriptor that somebody has handed
// over, which may be a pipe that is not emptied; nothing waits for that.
//
// Owned by who keeps the guest standing; main thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/whole_file.h"
#include "ringside/event_loop.h"
#include "transport/connection.h"

namespace ringside::cli {

// Where bytes go. A file takes its name when it is complete.
class ByteTarget {
 public:
  explicit ByteTarget(WholeFile file) : where_(std::move(file)) {}
  // The loop, which outlives it, is told to wake up when there is room again.
  ByteTarget(Fd descriptor, EventLoop& loop);
  ~ByteTarget();
  ByteTarget(const ByteTarget&) = delete;
  ByteTarget& operator=(const ByteTarget&) = delete;

  // How many it has taken; 0: there is no room now.
  Result<std::size_t> write(std::span<const std::byte> bytes);
  Result<void> finish();
  bool waits_for_room() const { return watched_; }

 private:
  // A file with a name, one that was handed over, or a pipe.
  std::variant<WholeFile, Fd, transport::Connection> where_;
  EventLoop* loop_ = nullptr;
  bool watched_ = false;
  void watch(bool on);
};

class GuestFile {
 public:
  // Appends what comes next; true at the end. Called while every vCPU is out of the guest.
  using Source = std::function<Result<bool>(std::vector<std::byte>& out)>;
  // `begin` is called once every vCPU is out. `target` is null for a source that has its own, and
  // appends nothing.
  GuestFile(std::function<Result<Source>()> begin, std::unique_ptr<ByteTarget> target)
      : begin_(std::move(begin)), target_(std::move(target)) {}

  // About a millisecond's work; true once all is written.
  Result<bool> advance();
  // It would do nothing before there is room again.
  bool waits_for_room() const { return target_ != nullptr && target_->waits_for_room(); }

 private:
  std::function<Result<Source>()> begin_;
  std::unique_ptr<ByteTarget> target_;
  Source source_;
  std::vector<std::byte> bytes_;
  std::size_t written_ = 0;  // of these
  bool at_end_ = false;
};

}  // namespace ringside::cli
