// What the command line calls a disk that an NBD server has: nbd://HOST[:PORT][/EXPORT],
// nbd+unix:///[EXPORT]?socket=PATH, and nbd+unix:PATH for the latter without an export's name.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace ringside::nbd {

// It is no name of a file, but of an export, or meant as one.
bool is_address(const std::string& text);

// As libnbd takes it (the NBD URI specification). An error is one sentence without the option.
Result<std::string> uri_of(const std::string& text);

// What stays the same wherever ringside is started: the path of nbd+unix:PATH is made absolute.
std::string absolute(const std::string& text);

}  // namespace ringside::nbd
