// Where a device's bytes go. A plain value, called on the thread that runs the vCPU; it never
// waits.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <type_traits>
#include <utility>

namespace ringside::machine {

class ByteSink {
 public:
  using Take = std::function<void(std::span<const std::byte>)>;

  // Empty: whoever has it drops the bytes.
  ByteSink() = default;
  // Whether the bytes of a guest that does not look at `full` are kept is the sink's affair.
  ByteSink(Take take, std::function<bool()> full)
      : take_(std::move(take)), full_(std::move(full)) {}
  // Never full.
  template <typename Function>
  requires std::is_invocable_v<Function, std::span<const std::byte>> ByteSink(Function take)
      : take_(std::move(take)) {}

  explicit operator bool() const { return take_ != nullptr; }
  void operator()(std::span<const std::byte> bytes) const { take_(bytes); }
  // The guest is to wait before it sends more.
  bool full() const { return full_ && full_(); }

 private:
  Take take_;
  std::function<bool()> full_;
};

}  // namespace ringside::machine
