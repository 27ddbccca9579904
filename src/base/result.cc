#include "base/result.h"

#include <cstring>

namespace ringside {

Error Error::from_errno(std::string_view text, int errno_value) {
  char buffer[256];
  const char* reason = strerror_r(errno_value, buffer, sizeof buffer);
  return {ErrorCode::System, std::string(text) + ": " + reason};
}

}  // namespace ringside
