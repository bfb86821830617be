"""MIDI to stems: SoundFonts, drum kits and voices, effects, and the mix."""
