// The recorded frames: a bounded ring of bytes in the form that GDB's trace files have (GDB manual,
// "Trace File Format"), so that what a client uploads is what lies here. A frame is never cut: it
// lies in one piece, and where there is no room for it the oldest ones go, or it does not come in.
//
// Plain data without a lock. Owned by Tracing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace ringside::debug::trace {

// What is before the data of a frame: the tracepoint's number in 2 bytes, and the length in 4.
inline constexpr std::size_t kFrameHeader = 6;

struct Frame {
  // Counted from the first that was ever recorded; no two frames have the same, also where the
  // buffer was emptied between them.
  std::uint64_t sequence = 0;
  std::uint16_t tracepoint = 0;
  std::span<const std::byte> blocks;  // valid until the buffer changes
};

class TraceBuffer {
 public:
  enum class WhenFull : std::uint8_t { Refuse, DropOldest };

  explicit TraceBuffer(std::size_t capacity) : capacity_(capacity) {}

  // Both forget all frames.
  void set_capacity(std::size_t bytes);
  void clear();

  // False: there is no room, and nothing has changed. `blocks` may be longer than the buffer.
  bool add(std::uint16_t tracepoint, std::span<const std::byte> blocks, WhenFull when_full);

  std::size_t capacity() const { return capacity_; }
  std::size_t used() const;                                 // bytes of frames
  std::uint64_t count() const { return next_ - oldest_; }   // frames that are there
  std::uint64_t created() const { return next_ - begin_; }  // since clear()
  std::uint64_t oldest() const { return oldest_; }          // its sequence, if there is one

  // Nothing: it is not there any more, or never was.
  std::optional<Frame> frame(std::uint64_t sequence) const;
  // All frames from the oldest on, in the form of the file: at most `length` bytes from `offset`.
  std::vector<std::byte> read(std::uint64_t offset, std::uint64_t length) const;

 private:
  // The frames lie in [head_, head_end_), and the newer ones in [0, tail_) once the ring has begun
  // anew at its start.
  std::size_t size_at(std::size_t place) const;
  void drop_oldest();
  bool make_room(std::size_t size, WhenFull when_full);

  std::size_t capacity_;
  std::unique_ptr<std::byte[]> bytes_;  // made by the first frame
  std::size_t head_ = 0, head_end_ = 0, tail_ = 0;
  bool wrapped_ = false;
  std::uint64_t begin_ = 0, oldest_ = 0, next_ = 0;
  // Where the frame is that was looked for last: who looks goes from one to the next.
  struct Cursor {
    std::uint64_t sequence = 0;
    std::size_t place = 0;
  };
  mutable std::optional<Cursor> cursor_;
};

}  // namespace ringside::debug::trace
