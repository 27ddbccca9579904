// The name of an entry of a directory, as a guest gives it: what is no name of one entry is refused
// here, so that no system call is given anything else.
#pragma once

#include <limits.h>

#include <string>
#include <string_view>

#include "share/outcome.h"

namespace ringside::share {

class Name {
 public:
  // EINVAL: it is empty, "." or "..", or has a '/' or a zero in it.
  static Outcome<Name> from(std::string_view text) {
    if (text.size() > NAME_MAX) return refuse(ENAMETOOLONG);
    if (text.empty() || text == "." || text == ".." ||
        text.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos)
      return refuse(EINVAL);
    return Name(std::string(text));
  }
  const char* c_str() const { return text_.c_str(); }

 private:
  explicit Name(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace ringside::share
