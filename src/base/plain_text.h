// Text that others have chosen, such as a debugger's name for a file, on its way to a terminal and
// into directories: without what a terminal would obey.
#pragma once

#include <string>
#include <string_view>

namespace ringside {

// UTF-8 (RFC 3629) without control characters (U+0000 to U+001F, U+007F to U+009F).
bool is_plain_text(std::string_view text);

// The same text, with \x1b instead of a byte that is a control character or of none. Ends of lines
// and tabs stay.
std::string plain_lines(std::string_view text);

}  // namespace ringside
