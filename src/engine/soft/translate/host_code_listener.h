// Who wants to know which host code there is, and what it does: for tools that look at the process
// from outside. Called on the thread that runs the CPUs.
#pragma once

#include <cstddef>
#include <string_view>

namespace ringside::soft {

class HostCodeListener {
 public:
  virtual ~HostCodeListener() = default;
  // `size` bytes of code are at `start` from now on.
  virtual void written(const void* start, std::size_t size, std::string_view name) = 0;
  // All code that it was told of is gone, and its place is used again.
  virtual void thrown_away() = 0;
};

}  // namespace ringside::soft
