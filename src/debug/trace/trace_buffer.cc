#include "debug/trace/trace_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ringside::debug::trace {

void TraceBuffer::set_capacity(std::size_t bytes) {
  clear();
  bytes_.reset();
  capacity_ = bytes;
}

void TraceBuffer::clear() {
  head_ = head_end_ = tail_ = 0;
  wrapped_ = false;
  begin_ = oldest_ = next_;
  cursor_.reset();
}

std::size_t TraceBuffer::used() const { return head_end_ - head_ + tail_; }

std::size_t TraceBuffer::size_at(std::size_t place) const {
  std::uint32_t length = 0;
  std::memcpy(&length, &bytes_[place + 2], sizeof length);
  return kFrameHeader + length;
}

void TraceBuffer::drop_oldest() {
  if (cursor_ && cursor_->sequence == oldest_) cursor_.reset();
  head_ += size_at(head_);
  ++oldest_;
  if (head_ < head_end_) return;
  head_ = 0;
  head_end_ = wrapped_ ? std::exchange(tail_, 0) : 0;
  wrapped_ = false;
}

// So that [head_end_, …), or [tail_, …) of a ring that has begun anew, has room for `size` bytes.
bool TraceBuffer::make_room(std::size_t size, WhenFull when_full) {
  if (size > capacity_) return false;
  for (;;) {
    if (wrapped_ ? head_ - tail_ >= size : capacity_ - head_end_ >= size) return true;
    if (!wrapped_ && count() > 0 && when_full == WhenFull::DropOldest) {
      wrapped_ = true;
    } else if (when_full == WhenFull::DropOldest) {
      drop_oldest();
    } else {
      return false;
    }
  }
}

bool TraceBuffer::add(std::uint16_t tracepoint, std::span<const std::byte> blocks,
                      WhenFull when_full) {
  if (blocks.size() > capacity_) return false;
  if (!make_room(kFrameHeader + blocks.size(), when_full)) return false;
  // Not set to zero, so that memory is used as far as frames need it.
  if (!bytes_) bytes_.reset(new std::byte[capacity_]);
  std::size_t& end = wrapped_ ? tail_ : head_end_;
  std::byte* const to = &bytes_[end];
  const auto length = static_cast<std::uint32_t>(blocks.size());
  std::memcpy(to, &tracepoint, sizeof tracepoint);
  std::memcpy(to + 2, &length, sizeof length);
  if (!blocks.empty()) std::memcpy(to + kFrameHeader, blocks.data(), blocks.size());
  end += kFrameHeader + blocks.size();
  ++next_;
  return true;
}

std::optional<Frame> TraceBuffer::frame(std::uint64_t sequence) const {
  if (sequence < oldest_ || sequence >= next_) return std::nullopt;
  if (!cursor_ || cursor_->sequence > sequence) cursor_ = Cursor{oldest_, head_};
  while (cursor_->sequence < sequence) {
    cursor_->place += size_at(cursor_->place);
    ++cursor_->sequence;
    if (wrapped_ && cursor_->place == head_end_) cursor_->place = 0;
  }
  Frame frame;
  frame.sequence = sequence;
  std::memcpy(&frame.tracepoint, &bytes_[cursor_->place], sizeof frame.tracepoint);
  frame.blocks = {&bytes_[cursor_->place + kFrameHeader], size_at(cursor_->place) - kFrameHeader};
  return frame;
}

std::vector<std::byte> TraceBuffer::read(std::uint64_t offset, std::uint64_t length) const {
  std::vector<std::byte> result;
  const auto take = [&](std::size_t from, std::size_t to) {
    const std::uint64_t size = to - from;
    if (offset >= size) {
      offset -= size;
      return;
    }
    const std::uint64_t count = std::min(size - offset, length);
    const std::byte* const first = bytes_.get() + from + offset;
    result.insert(result.end(), first, first + count);
    offset = 0;
    length -= count;
  };
  take(head_, head_end_);
  take(0, tail_);
  return result;
}

}  // namespace ringside::debug::trace
