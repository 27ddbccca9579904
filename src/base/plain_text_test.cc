#include "base/plain_text.h"

#include <gtest/gtest.h>

namespace ringside {
namespace {

TEST(PlainText, IsWhatATerminalOnlyShows) {
  for (const char* text : {"", "core", "a name with blanks", "Ger\xc3\xa4t", "\xe2\x82\xac",
                           "\xf0\x9f\x90\xa7", "\xc2\xa0"})
    EXPECT_TRUE(is_plain_text(text)) << text;
}

// ESC, DEL and CSI (U+009B) are obeyed; RFC 3629 has what is no UTF-8: a byte alone, one too few,
// longer than need be, half of a pair, beyond the last character.
TEST(PlainText, IsNothingElse) {
  for (const char* text :
       {"\x1b[31m", "a\nb", "a\tb", "\x7f", "\xc2\x9b", "\x80", "\xc3", "\xe2\x82", "\xc0\xaf",
        "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"})
    EXPECT_FALSE(is_plain_text(text)) << plain_lines(text);
  EXPECT_FALSE(is_plain_text(std::string_view("\0", 1)));
}

TEST(PlainText, OfOtherTextHasItsBytesInWords) {
  EXPECT_EQ(plain_lines("one\n\ttwo \xc3\xa4"), "one\n\ttwo \xc3\xa4");
  EXPECT_EQ(plain_lines("\x1b[2J\r\xff\xc2\x9b."), "\\x1b[2J\\x0d\\xff\\xc2\\x9b.");
  EXPECT_EQ(plain_lines("\xc3"), "\\xc3");
}

}  // namespace
}  // namespace ringside
