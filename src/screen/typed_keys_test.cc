#include "screen/typed_keys.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

#include "base/hex.h"

namespace ringside::screen {
namespace {

std::string codes(std::string_view typed) {
  return to_hex(scan_codes_of(std::as_bytes(std::span(typed))));
}

TEST(TypedKeys, ArePressedAndReleased) {
  EXPECT_EQ(codes("a"), "1e9e");
  EXPECT_EQ(codes("1-="), "02820c8c0d8d");
  EXPECT_EQ(codes("\\z/"), "2bab2cac35b5");
  EXPECT_EQ(codes("q]"), "10901b9b");
  EXPECT_EQ(codes("'`"), "28a829a9");
  EXPECT_EQ(codes(" \r\n\t"), "39b91c9c1c9c0f8f");
  EXPECT_EQ(codes("\x7f\b"), "0e8e0e8e");
}

TEST(TypedKeys, HoldShiftForWhatIsAboveAKey) {
  EXPECT_EQ(codes("A"), "2a1e9eaa");
  EXPECT_EQ(codes("!_+"), "2a0282aa2a0c8caa2a0d8daa");
  EXPECT_EQ(codes("|?~\""), "2a2babaa2a35b5aa2a29a9aa2a28a8aa");
}

TEST(TypedKeys, HoldCtrlForControlCharacters) {
  EXPECT_EQ(codes("\x03"), "1d2eae9d");
  EXPECT_EQ(codes("\x1c"), "1d2bab9d");
  EXPECT_EQ(codes(std::string_view("\0", 1)), "1d2a0383aa9d");
}

TEST(TypedKeys, HoldAltForCharactersAfterAnEscape) {
  EXPECT_EQ(codes("\x1bx"), "382dadb8");
  EXPECT_EQ(codes("\x1bX"), "382a2dadaab8");
}

TEST(TypedKeys, KnowTheSequencesOfATerminal) {
  EXPECT_EQ(codes("\x1b[A\x1b[B\x1bOC\x1b[D"), "e048e0c8e050e0d0e04de0cde04be0cb");
  EXPECT_EQ(codes("\x1b[H\x1b[4~\x1b[5~\x1b[6~"), "e047e0c7e04fe0cfe049e0c9e051e0d1");
  EXPECT_EQ(codes("\x1b[2~\x1b[3~"), "e052e0d2e053e0d3");
  EXPECT_EQ(codes("\x1bOP\x1b[15~\x1b[24~"), "3bbb3fbf58d8");
  EXPECT_EQ(codes("\x1b[1;5C"), "1de04de0cd9d");
  EXPECT_EQ(codes("\x1b[Z"), "2a0f8faa");
}

TEST(TypedKeys, TakeALoneEscapeForTheKey) {
  EXPECT_EQ(codes("\x1b"), "0181");
  EXPECT_EQ(codes("\x1b\x1b"), "380181b8");
  EXPECT_EQ(codes("\x1b["), "381a9ab8");
}

TEST(TypedKeys, DropWhatIsNoKey) {
  EXPECT_EQ(codes("\xc3\xa4"), "");
  EXPECT_EQ(codes("\x1b[99~\x1b[?25h\x1b[1;2;3;4;5;6;7xa"), "1e9e");
  EXPECT_EQ(codes("\x1b[1;"), "");
  EXPECT_EQ(codes("\x1bO"), "382a1898aab8");
}

}  // namespace
}  // namespace ringside::screen
