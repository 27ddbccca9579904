// Which pages of this process nobody has touched: private anonymous memory is zero until then, and
// the kernel knows (/proc/self/pagemap, Linux's Documentation/admin-guide/mm/pagemap.rst). Owned by
// the guest's RAM; used on the main thread.
#pragma once

#include <cstddef>
#include <span>

#include "base/fd.h"

namespace ringside::hypervisor {

class UntouchedPages {
 public:
  UntouchedPages();

  // How many bytes from the beginning of `memory`, which begins on a page, are untouched: whole
  // pages, or all of it. 0 where it cannot be known. Looks at no more than kMost bytes.
  std::size_t prefix(std::span<const std::byte> memory) const;
  static constexpr std::size_t kMost = 2u << 20;

 private:
  Fd pagemap_;
};

}  // namespace ringside::hypervisor
